#!/usr/bin/env python3
"""Files of torch.save, and what is in them as safetensors, for the tests of the reader of .pth.

Run it anywhere with torch and safetensors: it rewrites golden/*.pth and golden/pth.safetensors.
"""

import collections
import pathlib

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "golden"


def main():
    torch.manual_seed(3)
    base = torch.randn(4, 6)
    tensors = collections.OrderedDict(
        double=torch.randn(2, 2, dtype=torch.float64), half=torch.randn(3).half(),
        bfloat16=torch.randn(3).bfloat16(), long=torch.tensor([2**40, -1]),
        int=torch.tensor([-7]).int(), short=torch.tensor([-300]).short(),
        char=torch.tensor([-5]).char(), byte=torch.tensor([250]).byte(),
        bool=torch.tensor([True, False]), scalar=torch.tensor(2.5), empty=torch.empty(0, 4),
        base=base,
        transposed=base.t(), row=base[2], every_second=base[:, ::2], the_same=base)
    tensors["parameter"] = torch.nn.Parameter(torch.randn(3))
    torch.save(tensors, FOLDER / "types.pth")
    expected = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    save_file(expected, FOLDER / "pth.safetensors")

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                "best": 0.5, "names": ["a", ("b", None, True)], "count": 2**40},
               FOLDER / "wrapped.pth")
    save_file(dict(model.state_dict()), FOLDER / "wrapped.safetensors")
    torch.save(tensors, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""AdamW and learning rates that the tests compare with, made with torch.optim and plain arithmetic."""

import math
import pathlib

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "golden"
STEPS = 20


def adamw(dtype):
    """Two groups, the second with a tenth of the rate; the third parameter never has a gradient."""
    torch.manual_seed(5)
    start = {"a": torch.randn(7, 3), "b": torch.randn(5), "idle": torch.randn(2)}
    parameters = {name: value.to(dtype).requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.AdamW(
        [{"params": [parameters["a"], parameters["idle"]]}, {"params": [parameters["b"]]}],
        betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1, foreach=False)
    out = {f"start.{name}": value.detach().clone() for name, value in parameters.items()}
    gradients = {"a": torch.randn(STEPS, 7, 3), "b": torch.randn(STEPS, 5) * 1e-4}
    for step in range(STEPS):
        rate = 1e-2 * (1 + step % 3)
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = rate, rate * 0.1
        for name, all_steps in gradients.items():
            parameters[name].grad = all_steps[step].to(dtype)
        optimizer.step()
        if step in (0, STEPS - 1):
            for name in parameters:
                out[f"after{step + 1}.{name}"] = parameters[name].detach().clone()
    out.update({f"gradient.{name}": value.to(dtype) for name, value in gradients.items()})
    return out


def rates(lr, warmup, total):
    """Linear to lr at step `warmup`, then a cosine to lr / 1000 at the last step."""
    table = []
    for s in range(1, total + 1):
        if s < warmup:
            table.append(lr * s / warmup)
        else:
            turn = (s - warmup) / (total - warmup) if total > warmup else 0.0
            table.append(lr * (0.001 + 0.999 * (0.5 + 0.5 * math.cos(math.pi * turn))))
    return torch.tensor(table, dtype=torch.float64)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    save_file(adamw(torch.float32), FOLDER / "adamw_fp32.safetensors")
    save_file(adamw(torch.float64), FOLDER / "adamw_fp64.safetensors")
    save_file({f"{warmup}.{total}": rates(3e-4, warmup, total)
               for warmup, total in ((10, 100), (0, 7), (1, 5), (20, 20))},
              FOLDER / "learning_rate.safetensors")

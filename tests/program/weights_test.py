"""Weights of PyTorch and torchvision through the whole program, in and out again, bit for bit."""

import subprocess
import sys
import unittest

from harness import ProgramTest, SMALL_RUN, read_safetensors, run

TORCH_PYTHON = sys.executable

RESNET = SMALL_RUN.replace('kind = "tiny"\nwidth = 64', 'kind = "resnet18"\nwidth = 512').replace(
    'name = "label"', 'name = "label"\nclasses = ["a", "b", "c"]')

# Writes torchvision's own state dict and an upstream model around it, as .pth and .safetensors.
MAKE = """
import sys, torch, torchvision
from safetensors.torch import save_file
torch.manual_seed(3)
resnet = {name: value + 0.01 * torch.rand_like(value) if value.is_floating_point() else value
          for name, value in torchvision.models.resnet18().state_dict().items()}
torch.save(resnet, "torchvision.pth")
save_file(resnet, "torchvision.safetensors")
numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
model = {}
for name, value in resnet.items():
    part, rest = name.split(".", 1)
    if part in numbers:
        model[f"module.encoder.{numbers[part]}.{rest}"] = value
for name, shape in {"crs_attn.q": (1, 1, 512), "crs_attn.q_w.weight": (64, 512),
                    "crs_attn.k_w.weight": (64, 512), "crs_attn.v_w.weight": (64, 512),
                    "crs_attn.fc.weight": (512, 64), "crs_attn.layer_norm.weight": (512,),
                    "crs_attn.layer_norm.bias": (512,), "mlp.w_1.weight": (64, 512),
                    "mlp.w_1.bias": (64,), "mlp.w_2.weight": (512, 64), "mlp.w_2.bias": (512,),
                    "mlp.layer_norm.weight": (512,), "mlp.layer_norm.bias": (512,)}.items():
    model[f"module.transf.{name}"] = torch.randn(shape)
model["module.output_layers.label.0.weight"] = torch.randn(3, 512)
model["module.output_layers.label.0.bias"] = torch.randn(3)
torch.save({"epoch": 3, "state_dict": model}, "upstream.pth")
save_file({name.removeprefix("module."): value for name, value in model.items()},
          "upstream.safetensors")
"""


def without_counts(tensors, *left_out):
    return {name: value for name, value in tensors.items()
            if not name.endswith("num_batches_tracked") and not name.startswith(left_out)}


class Weights(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run([TORCH_PYTHON, "-c", MAKE], cwd=cls.folder, check=True)

    def setUp(self):
        super().setUp()
        self.resnet = self.work / "resnet.toml"
        self.resnet.write_text(RESNET.format(store=self.store))

    def exported(self, *words):
        out = self.work / "out.safetensors"
        self.assert_done(run("export", words[0], out, *words[1:]))
        return read_safetensors(out)

    def test_a_whole_model_of_upstream(self):
        theirs = without_counts(read_safetensors(self.folder / "upstream.safetensors"))
        for file in ("upstream.pth", "upstream.safetensors"):
            from_file = ("--weights", self.folder / file)
            self.assertEqual(self.exported(self.resnet, *from_file, "--names", "upstream"), theirs)
        published = read_safetensors(self.folder / "torchvision.safetensors")
        self.assertEqual(self.exported(self.resnet, *from_file, "--names", "torchvision"),
                         without_counts(published, "fc."))
        self.exported(self.resnet, *from_file)
        again = self.exported(self.work / "out.safetensors", "--names", "upstream")
        self.assertEqual(again, theirs)

    def test_torchvisions_weights_stay_what_they_are_in_a_frozen_encoder(self):
        published = read_safetensors(self.folder / "torchvision.safetensors")
        frozen = ("--set", "encoder.frozen=true", "--set", "training.epochs=1", "--set",
                  "task.label.classes=[]", "--set", f"experiment.output={self.work}")
        for number, file in enumerate(("torchvision.pth", "torchvision.safetensors")):
            self.assert_done(run("train", self.resnet, *frozen,
                                 "--set", f"experiment.name={number}",
                                 "--set", f"encoder.weights={self.folder / file}"))
            self.assertEqual(self.exported(self.work / str(number), "--names", "torchvision"),
                             without_counts(published, "fc."))

    def test_an_encoder_alone_is_no_whole_model(self):
        result = run("export", self.resnet, self.work / "out.safetensors", "--weights",
                     self.folder / "torchvision.pth")
        self.assertEqual(result.code, 65, result.err)
        self.assertIn("ResNet-18 alone", result.err)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Numbers that the model's tests compare with, made with PyTorch in fp64.

Written from the method's description alone (equations 5-8 of the paper, torchvision's ResNets), bag by
bag and without padding. Weights and inputs are a formula of their name, which golden.h repeats, so that
the files hold results only. Run it anywhere with torch, torchvision and safetensors: it rewrites golden/
beside it.
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "golden"


def noise(name, *shape):
    """Uniform in [-1, 1), from a 32-bit mix of position and name's FNV-1a hash."""
    hashed = 0x811C9DC5
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64(hashed)
    x &= np.uint64(0xFFFFFFFF)
    for _ in range(2):
        x = (x ^ (x >> np.uint64(16))) * np.uint64(0x45D9F3B) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    return torch.from_numpy(x.astype(np.float64) / 2**31 - 1).reshape(shape)


def weight(name, *shape):
    """The value of a parameter or buffer of this name."""
    x = noise(name, *shape)
    if name.endswith("running_var"):
        return 1 + 0.5 * x
    if len(shape) >= 2:
        return x * (6 / np.prod(shape[1:])) ** 0.5
    return 1 + 0.3 * x if name.endswith(".weight") else 0.2 * x


class Network:
    """Named parameters, made when first asked for."""

    def __init__(self):
        self.parameters = {}
        self.buffers = {}
        self.training = False

    def parameter(self, name, *shape):
        if name not in self.parameters:
            self.parameters[name] = weight(name, *shape).requires_grad_()
        return self.parameters[name]

    def batch_norm(self, name, x):
        channels = x.shape[1]
        for kind in ("running_mean", "running_var"):
            self.buffers.setdefault(f"{name}.{kind}", weight(f"{name}.{kind}", channels))
        return F.batch_norm(
            x, self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"],
            self.parameter(f"{name}.weight", channels), self.parameter(f"{name}.bias", channels),
            self.training, momentum=0.1, eps=1e-5)

    def conv_bn(self, conv, norm, x, out, kernel, stride):
        kernels = self.parameter(f"{conv}.weight", out, x.shape[1], kernel, kernel)
        return self.batch_norm(norm, F.conv2d(x, kernels, stride=stride, padding=kernel // 2))


def tiny(net, x):
    for i, (out, stride) in enumerate([(16, 2), (32, 2), (64, 2), (64, 1)], start=1):
        x = net.conv_bn(f"conv{i}", f"bn{i}", x, out, 3, stride).relu()
    x = x.mean((2, 3))
    return F.layer_norm(x, x.shape[-1:], eps=1e-5)


def resnet(net, x, blocks, bottleneck):
    x = net.conv_bn("conv1", "bn1", x, 64, 7, 2).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, number in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(number):
            name = f"layer{stage + 1}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            if bottleneck:
                y = net.conv_bn(f"{name}.conv1", f"{name}.bn1", x, width, 1, 1).relu()
                y = net.conv_bn(f"{name}.conv2", f"{name}.bn2", y, width, 3, stride).relu()
                y = net.conv_bn(f"{name}.conv3", f"{name}.bn3", y, 4 * width, 1, 1)
            else:
                y = net.conv_bn(f"{name}.conv1", f"{name}.bn1", x, width, 3, stride).relu()
                y = net.conv_bn(f"{name}.conv2", f"{name}.bn2", y, width, 3, 1)
            if x.shape != y.shape:
                x = net.conv_bn(f"{name}.downsample.0", f"{name}.downsample.1", x, y.shape[1], 1,
                                stride)
            x = (x + y).relu()
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def projected(net, x, width):
    x = F.layer_norm(x, x.shape[-1:], eps=1e-5)
    x = F.linear(x, net.parameter("projector.linear.weight", width, x.shape[1]),
                 net.parameter("projector.linear.bias", width))
    return net.batch_norm("projector.bn", x).relu()


FULL = {  # name: forward of pictures with three channels
    "tiny": tiny,
    "resnet18": lambda net, x: resnet(net, x, [2, 2, 2, 2], False),
    "resnet50": lambda net, x: projected(net, resnet(net, x, [3, 4, 6, 3], True), 24),
}
SHORT = {  # name: (channels, forward), small enough to train in fp64
    "tiny": (3, tiny),
    "resnet18_two_stages": (1, lambda net, x: resnet(net, x, [2, 2], False)),
    "resnet50_two_stages": (3, lambda net, x: projected(net, resnet(net, x, [3, 4], True), 24)),
}


def projection(name, gradient):
    """A gradient as two numbers: its norm, and its product with noise."""
    return torch.stack([gradient.norm(), (gradient * noise(name, *gradient.shape)).sum()])


def encoders():
    out = {}
    with torch.no_grad():
        for kind, forward in FULL.items():
            out[f"full.{kind}.eval"] = forward(Network(), noise("patches.0", 2, 3, 32, 32))
    for kind, (channels, forward) in SHORT.items():
        net = Network()
        with torch.no_grad():
            out[f"{kind}.eval"] = forward(net, noise("patches.0", 4, channels, 16, 16))
        net.training = True
        for step in range(3):
            x = noise(f"patches.{step}", 4, channels, 16, 16)
            y = forward(net, x)
            out[f"{kind}.train.{step}"] = y.detach()
            (y * noise("loss", *y.shape)).sum().backward()
        for name, buffer in net.buffers.items():
            out[f"{kind}.buffer.{name}"] = projection(name, buffer)
        for name, parameter in net.parameters.items():  # summed over the three steps
            out[f"{kind}.gradient.{name}"] = projection(name, parameter.grad)
    return out


D, T, H, DK, DV, HIDDEN = 16, 2, 4, 3, 5, 24
M_ROWS = [5, 2, 6]
S_ROWS = [7, 0, 4]


def attention_parameters(layers):
    shapes = {"q": (1, T, D), "w_q.weight": (H * DK, D), "w_k.weight": (H * DK, D),
              "w_v.weight": (H * DV, D), "w_o.weight": (D, H * DV),
              "layer_norm.weight": (D,), "layer_norm.bias": (D,),
              "mlp.layer_norm.weight": (D,), "mlp.layer_norm.bias": (D,)}
    for i in range(1, layers + 1):
        shapes[f"mlp.{i}.weight"] = (D if i == layers else HIDDEN, D if i == 1 else HIDDEN)
        shapes[f"mlp.{i}.bias"] = (D if i == layers else HIDDEN,)
    return {name: weight(name, *shape).requires_grad_() for name, shape in shapes.items()}


def head_logits(p, query, rows):
    """(H, T, n), one head at a time."""
    q, k = F.linear(query, p["w_q.weight"]), F.linear(rows, p["w_k.weight"])
    return torch.stack([q[:, h * DK:(h + 1) * DK] @ k[:, h * DK:(h + 1) * DK].T / DK**0.5
                        for h in range(H)])


def attend(p, query, rows):
    """W_o attn(query, rows): (T, D), (n, D) -> (T, D)."""
    v = F.linear(rows, p["w_v.weight"])
    heads = [logits.softmax(-1) @ v[:, h * DV:(h + 1) * DV]
             for h, logits in enumerate(head_logits(p, query, rows))]
    return F.linear(torch.cat(heads, 1), p["w_o.weight"])


def norm(p, name, x):
    return F.layer_norm(x, (D,), p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-6)


def mlp(p, z, layers):
    x = z
    for i in range(1, layers + 1):
        x = F.linear(x, p[f"mlp.{i}.weight"], p[f"mlp.{i}.bias"])
        x = x.relu() if i < layers else x
    return norm(p, "mlp.layer_norm", x + z)


def dual(p, salient, sub_salient, layers):
    q = p["q"][0]
    z1 = attend(p, q, salient) + q
    z2 = torch.zeros_like(z1)
    if len(sub_salient):
        z2 = attend(p, norm(p, "layer_norm", z1), sub_salient)
    z = norm(p, "layer_norm", z1 + z2)
    return z1, z2, z, mlp(p, z, layers)


def cross(p, salient, sub_salient, layers):
    q = p["q"][0]
    z1 = attend(p, q, torch.cat([salient, sub_salient])) + q
    z = norm(p, "layer_norm", z1)
    return z1, torch.zeros_like(z1), z, mlp(p, z, layers)


def sinusoid(places):
    angles = places[:, None] / 10000 ** (torch.arange(0, D, 2, dtype=torch.float64) / D)
    encoded = torch.empty(len(places), D, dtype=torch.float64)
    encoded[:, 0::2], encoded[:, 1::2] = angles.sin(), angles.cos()
    return encoded


def places_of(name, rows):
    return ((noise(name, rows) + 1) * 450).floor()


def attention():
    out = {}
    cases = {"dual": (dual, 2, False), "dual_three": (dual, 3, False), "dual_places": (dual, 2, True),
             "cross": (cross, 2, False), "cross_places": (cross, 2, True)}
    for case, (aggregate, layers, positions) in cases.items():
        p = attention_parameters(layers)
        salient = (noise("salient", sum(M_ROWS), D) * 2).requires_grad_()
        rest = noise("sub_salient", sum(S_ROWS), D) * 2
        rows = salient + sinusoid(places_of("salient.places", sum(M_ROWS))) if positions else salient
        if positions:
            rest = rest + sinusoid(places_of("sub_salient.places", sum(S_ROWS)))
        results = [aggregate(p, m, s, layers)
                   for m, s in zip(rows.split(M_ROWS), rest.split(S_ROWS))]
        for name, tensors in zip(("z1", "z2", "z", "tokens"), zip(*results)):
            out[f"{case}.{name}"] = torch.stack(tensors).detach()
        tokens = torch.stack([r[3] for r in results])
        (tokens * noise("loss", *tokens.shape)).sum().backward()
        out[f"{case}.gradient.salient"] = salient.grad
        for name, parameter in p.items():
            out[f"{case}.gradient.{name}"] = parameter.grad
        logits = head_logits(p, p["q"][0], rows)  # (H, T, n) -> (n, T * H)
        out[f"{case}.scan_logits"] = logits.permute(2, 1, 0).flatten(1).detach()
    return out


def gated(p, rows):
    """(n, D) -> (T, D), token by token."""
    gates = (F.linear(rows, p["v.weight"], p["v.bias"]).tanh() *
             F.linear(rows, p["u.weight"], p["u.bias"]).sigmoid())
    return torch.stack([(gates @ w).softmax(0) @ rows for w in p["w.weight"]])


def top_mil(rows, target, binary):
    """Of each bag of one-row logits: loss and pooled logits, as multiclass and as multilabel."""
    losses = [F.cross_entropy(bag, t.expand(len(bag))) for bag, t in zip(rows, target)]
    sigmoid = [F.binary_cross_entropy_with_logits(bag, b.expand(len(bag), -1))
               for bag, b in zip(rows, binary)]
    return {"multiclass.loss": torch.stack(losses), "multilabel.loss": torch.stack(sigmoid),
            "multiclass.pooled": torch.stack([bag.mean(0) for bag in rows]),
            "multilabel.pooled": torch.stack([bag.max(0).values for bag in rows])}


def mil():
    """Gated attention (DeepMIL), the mean, and TopMIL, whose heads classify patches."""
    out = {}
    hidden = 6
    shapes = {"v.weight": (hidden, D), "v.bias": (hidden,), "u.weight": (hidden, D),
              "u.bias": (hidden,), "w.weight": (T, hidden)}
    p = {name: weight(name, *shape).requires_grad_() for name, shape in shapes.items()}
    salient = (noise("salient", sum(M_ROWS), D) * 2).requires_grad_()
    rest = noise("sub_salient", sum(S_ROWS), D) * 2
    bags = salient.split(M_ROWS)
    for case, rows in (("gated", bags),
                       ("gated_both", [torch.cat(r) for r in zip(bags, rest.split(S_ROWS))])):
        for tensor in (salient, *p.values()):
            tensor.grad = None
        tokens = torch.stack([gated(p, bag) for bag in rows])
        (tokens * noise("loss", *tokens.shape)).sum().backward()
        out[f"{case}.tokens"] = tokens.detach()
        out[f"{case}.gradient.salient"] = salient.grad.clone()
        for name, parameter in p.items():
            out[f"{case}.gradient.{name}"] = parameter.grad.clone()
    out["mean.tokens"] = torch.stack([bag.mean(0) for bag in bags])[:, None].detach()

    logits = (noise("logits", sum(M_ROWS), 4) * 3).requires_grad_()
    binary = torch.tensor([[0.0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0]])
    for name, tensor in top_mil(logits.split(M_ROWS), torch.tensor([0, 3, 1]), binary).items():
        logits.grad = None
        (tensor * noise("loss", *tensor.shape)).sum().backward()
        out[f"top.{name}"], out[f"top.{name}.gradient"] = tensor.detach(), logits.grad.clone()
    with torch.no_grad():
        out["top.multiclass.confidence"] = logits.softmax(1).max(1).values.log()
        out["top.multilabel.confidence"] = logits.sigmoid().max(1).values.log()
    return out


def whole():
    """torchvision's classifiers of whole pictures, their fc included: logits of five classes."""
    out = {}
    for kind in ("resnet18", "resnet50"):
        net = getattr(torchvision.models, kind)(num_classes=5).eval()
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    tensor.copy_(weight(name, *tensor.shape))
            out[kind] = net(noise("patches.0", 2, 3, 40, 56))
    return out


def losses():
    """Logits to +-120 in four classes: probabilities reach 0 and 1."""
    out = {}
    scale = torch.tensor([1.0, 10.0, 120.0, 120.0, 30.0, 1.0], dtype=torch.float64)[:, None]
    target = torch.tensor([0, 3, 1, 2, 0, 1])
    binary = torch.tensor([[0.0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1],
                           [0, 0, 0, 0]], dtype=torch.float64)

    def keep(name, logits, loss):
        (loss * noise("loss", 6)).sum().backward()
        out[f"{name}.loss"], out[f"{name}.gradient"] = loss.detach(), logits.grad

    for epsilon in (1e-6, 0.0):
        logits = (noise("logits", 6, 4) * scale).requires_grad_()
        log = (logits.softmax(1) + epsilon).log() if epsilon else logits.log_softmax(1)
        keep("multiclass" if epsilon else "cross_entropy", logits,
             F.nll_loss(log, target, reduction="none"))
    logits = (noise("logits", 6, 4) * scale).requires_grad_()
    keep("multilabel", logits,
         F.binary_cross_entropy(logits.sigmoid(), binary, reduction="none").mean(1))
    logits = (noise("logits", 6, 1) * scale).requires_grad_()
    keep("binary", logits,
         F.binary_cross_entropy(logits.sigmoid(), binary[:, :1], reduction="none")[:, 0])
    return out


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    FOLDER.mkdir(exist_ok=True)
    for make in (encoders, attention, mil, whole, losses):
        tensors = {name: tensor.contiguous() for name, tensor in make().items()}
        save_file(tensors, FOLDER / f"{make.__name__}.safetensors")

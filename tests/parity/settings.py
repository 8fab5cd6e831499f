"""Models and selections in both vocabularies: configuration keys, and the reference's arguments."""

import copy
import dataclasses
import functools

import numpy as np
import safetensors.torch
import torch
import torchvision

import reference


def draw_picture(seed, height, width, channels=3):
    """uint8 (h, w, channels): clouds of colour with grain, so that patches differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 12), max(2, width // 12), 3), dtype=np.uint8)
    clouds = reference.resize(coarse, height, width).astype(np.float64)
    grained = np.clip(clouds + rng.normal(0, 16, clouds.shape), 0, 255).astype(np.uint8)
    return grained if channels == 3 else grained[:, :, :1]


def as_planes(picture, dtype=torch.float64):
    """uint8 (h, w, C) -> (C, h, w) in 0 .. 1."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).to(dtype) / 255


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes in patches and pixels; `tasks` are (name, kind, classes)."""

    name: str
    kind: str = "resnet18"
    stages: int = 4
    channels: int = 3
    width: int = 512
    features: int = 0
    patch: int = 32
    rows: int = 4
    columns: int = 5
    method: str = "dbps"
    single: bool = False
    rule: str = "upstream"
    m: int = 4
    m_eval: int = 0
    s: int = 6
    step: int = 6
    position: bool = False
    heads: int = 8
    mlp_layers: int = 2
    mlp_width: int = 256
    tasks: tuple = (("label", "multiclass", 5),)
    epsilon: float = 1e-6
    precision: str = "fp32"

    @property
    def n(self):
        return self.rows * self.columns

    @property
    def dtype(self):
        return torch.float64 if self.precision == "fp64" else torch.float32

    @property
    def mean(self):
        return reference.IMAGENET_MEAN if self.channels == 3 else (0.449,)

    @property
    def std(self):
        return reference.IMAGENET_STD if self.channels == 3 else (0.226,)

    def picture(self, seed):
        """uint8 (h, w, C), of the configured size; of features float32 (N, F)."""
        if self.features:
            rng = np.random.default_rng(seed)
            kinds = 2 * rng.standard_normal((5, self.features))
            drawn = kinds[rng.integers(0, 5, self.n)] + rng.standard_normal((self.n, self.features))
            return drawn.astype(np.float32)
        return draw_picture(seed, self.rows * self.patch, self.columns * self.patch, self.channels)

    def pixels(self, picture):
        """Its patches (N, C, p, p), uint8; of features the vectors."""
        if self.features:
            return torch.from_numpy(picture)
        return reference.cut_patches(
            torch.from_numpy(picture.transpose(2, 0, 1).copy()), self.patch
        )

    def patches(self, picture):
        """Its patches as the encoder sees them."""
        if self.features:
            return torch.from_numpy(picture).to(self.dtype)
        planes = reference.normalise(as_planes(picture, self.dtype), self.mean, self.std)
        return reference.cut_patches(planes, self.patch)

    def but(self, **changes):
        return dataclasses.replace(self, **changes)

    def config(self, **tables):
        """TOML; `tables` add keys to its tables or change them."""
        content = {
            "experiment": {"name": "parity"},
            "data": {
                "store": "none",
                "height": self.rows * self.patch,
                "width": self.columns * self.patch,
                "patch_size": self.patch,
                "shuffle": False,
                "mean": list(self.mean),
                "std": list(self.std),
            },
            "augment": {
                "brightness": 0.0,
                "contrast": 0.0,
                "saturation": 0.0,
                "hue": 0.0,
                "translate": 0,
            },
            "selection": {
                "method": self.method,
                "salient": self.m,
                "salient_eval": self.m_eval,
                "sub_salient": self.s if self.method == "dbps" else 0,
                "scan_patches": self.step,
                "ranking": self.rule,
                "shuffle": "none",
            },
            "encoder": {
                "kind": self.kind,
                "stages": self.stages,
                "channels": self.channels,
                "width": self.width,
            },
            "aggregator": {
                "kind": (
                    "cross_attention" if self.single or self.method == "ips" else "dual_attention"
                ),
                "heads": self.heads,
                "key_width": self.width // self.heads,
                "value_width": self.width // self.heads,
                "mlp_layers": self.mlp_layers,
                "mlp_width": self.mlp_width,
                "dropout": 0.0,
                "attention_dropout": 0.0,
                "position_encoding": self.position,
            },
            "optimizer": {"warmup_epochs": 0},
            "training": {"epochs": 1, "precision": self.precision, "loss_epsilon": self.epsilon},
            "distributed": {"threads": 1, "device": "cpu"},
        }
        if self.features:
            content["data"] = {"store": "none", "shuffle": False}
            content["encoder"] = {"kind": self.kind, "width": self.width}
            content["encoder.features"] = {"width_in": self.features}
        for table, keys in tables.items():
            content.setdefault(table, {}).update(keys)
        lines = []
        for table, keys in content.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
        for name, kind, classes in self.tasks:
            listed = [] if kind == "binary" else [f"c{i}" for i in range(classes)]
            lines += ["[[task]]", f'name = "{name}"', f'kind = "{kind}"']
            lines.append(f"classes = {_toml(listed or ['no', 'yes'])}")
        return "\n".join(lines) + "\n"

    def net(self, seed):
        """The reference's model with weights like those of a trained one."""
        return copy.deepcopy(_net(self, seed))

    def save(self, net, path):
        """The model's weights in the released code's names, which the program reads."""
        return self.save_state(net.state_dict(), path)

    @staticmethod
    def save_state(state, path):
        tensors = {name: tensor.detach().contiguous() for name, tensor in state.items()}
        safetensors.torch.save_file(tensors, path)
        return str(path)


def _toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


@functools.cache
def _net(setting, seed):
    torch.manual_seed(seed)
    options = {"features": setting.features} if setting.features else {}
    net = reference.Net(
        list(setting.tasks),
        setting.kind,
        width=setting.width,
        stages=setting.stages,
        channels=setting.channels,
        heads=setting.heads,
        mlp_width=setting.mlp_width,
        mlp_layers=setting.mlp_layers,
        method=setting.method,
        single_attention=setting.single,
        rule=setting.rule,
        m=setting.m,
        m_eval=setting.m_eval or None,
        s=setting.s,
        step=setting.step,
        position_encoding=setting.position,
        **options,
    )
    _as_if_trained(net, setting.but(precision="fp32").patches(setting.picture(1000 + seed))[:24])
    return net.to(setting.dtype)


@torch.no_grad()
def _as_if_trained(net, patches):
    """Running statistics of what it sees, BatchNorm and LayerNorm off their start, residual
    branches that add little (else training from here is chaos: after ten steps the reference does
    not meet itself in fp64), and logits that tell patches apart (else every second score is a
    near-tie)."""
    norms = [
        layer for layer in net.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
    ]
    for layer in norms + [net.transf.crs_attn.layer_norm, net.transf.mlp.layer_norm]:
        layer.weight.uniform_(0.7, 1.3)
        layer.bias.uniform_(-0.2, 0.2)
    for block in net.modules():
        if isinstance(block, torchvision.models.resnet.BasicBlock):
            block.bn2.weight.mul_(0.25)
        elif isinstance(block, torchvision.models.resnet.Bottleneck):
            block.bn3.weight.mul_(0.25)
    for layer in norms:
        layer.momentum = 1.0
    net.encoder.train()
    net.encoder(patches)
    net.eval()
    for layer in norms:
        layer.momentum = 0.1
        layer.running_var += 0.1 * layer.running_var.mean()  # no channel is as good as dead
    logits = net.transf.logits(net.encoder(patches))
    net.transf.crs_attn.q_w.weight.mul_(4.0 / logits.abs().max())


R18 = Setting("resnet18")
R50 = Setting("resnet50", kind="resnet50", rows=3, columns=4, m=3, s=4, step=4)
GREY = Setting(
    "grey",
    stages=2,
    channels=1,
    width=128,
    rows=5,
    columns=6,
    method="ips",
    m=6,
    step=7,
    position=True,
    tasks=(("majority", "multiclass", 4), ("top", "multiclass", 3), ("digits", "multilabel", 6)),
)
TASKS = Setting(
    "tasks",
    width=128,
    stages=2,
    patch=48,
    rows=4,
    columns=6,
    m=5,
    s=9,
    step=8,
    m_eval=8,
    mlp_layers=3,
    tasks=(("grade", "multiclass", 5), ("signs", "multilabel", 4), ("sick", "binary", 1)),
)
FEATURES = Setting(
    "features",
    kind="features",
    features=96,
    width=64,
    rows=1,
    columns=40,
    m=6,
    s=9,
    step=8,
    tasks=(("tumour", "binary", 1),),
)

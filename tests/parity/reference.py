"""An independent reading of Dual-Buffer Patch Selection (DBPS, CVPR 2025) in PyTorch.

Docstrings name the section of method.md they read and, where there is one, the paper's equation.
Shapes: B pictures, N patches a picture, M salient, S sub-salient, D embedding width, H heads,
T tokens (one per task), C classes. Dtype and device follow the inputs. Nothing draws random numbers
except parameter initialisation and dropout (both probabilities are 0 unless given).
"""

import contextlib
import copy
import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
import torchvision.transforms.functional as TF
from PIL import Image
from sklearn import metrics as sk
from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
JITTERS = ("brightness", "contrast", "saturation", "hue")


# Pictures: section 1 steps 1 and 2, section 5 (augmentation, position encoding)


def resize(rgb, height, width):
    """Pillow's antialiased bilinear resize of a uint8 (H, W, 3) picture (section 1, step 1)."""
    return np.array(Image.fromarray(np.asarray(rgb)).resize((width, height), Image.BILINEAR))


def normalise(pixels, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    """(pixels - mean) / std per channel; `pixels` (..., C, H, W) in [0, 1] (section 1, step 1)."""
    mean, std = (pixels.new_tensor(v).view(-1, 1, 1) for v in (mean, std))
    return (pixels - mean) / std


def cut_patches(picture, size, stride=None):
    """(C, H, W) -> (N, C, size, size), row-major; what fills no patch is dropped (section 1)."""
    stride = stride or size
    grid = picture.unfold(1, size, stride).unfold(2, size, stride)
    return grid.permute(1, 2, 0, 3, 4).reshape(-1, picture.shape[0], size, size)


def jitter(
    picture, order=JITTERS, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, grey=None
):
    """Colour jitter of a float picture in [0, 1], in the given order (torchvision; section 5).

    `grey` replaces the mean grey of the contrast step, so that patches can be jittered on their own
    with contrast_grey() of the whole picture (section 1, step 2).
    """
    factors = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    for name in order:
        if name == "contrast" and grey is not None:
            picture = (contrast * picture + (1.0 - contrast) * grey).clamp(0.0, 1.0)
        else:
            picture = getattr(TF, f"adjust_{name}")(picture, factors[name])
    return picture


def contrast_grey(picture, order, **factors):
    """The picture's mean grey after the jitters that precede contrast (section 1, step 2)."""
    picture = jitter(picture, order[: order.index("contrast")], **factors)
    grey = TF.rgb_to_grayscale(picture) if picture.shape[-3] == 3 else picture
    return grey.mean(dim=(-3, -2, -1), keepdim=True)


def translate(picture, dx, dy):
    """Move the content right by dx and down by dy whole pixels; zero fill (section 5)."""
    height, width = picture.shape[-2:]
    moved = torch.zeros_like(picture)
    if abs(dx) < width and abs(dy) < height:
        source = picture[..., max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
        top, left = max(dy, 0), max(dx, 0)
        moved[..., top : top + source.shape[-2], left : left + source.shape[-1]] = source
    return moved


def kept_patches(r, n, m):
    """ceil((1-r)(N-M)) + M, exactly; `r` a decimal string (section 1, step 2)."""
    return n if m >= n else math.ceil((1 - Fraction(r)) * (n - m)) + m


def scan_step(r, l):
    """ceil(L(1-r)), exactly; `r` a decimal string (section 1, step 2)."""
    return math.ceil((1 - Fraction(r)) * l)


def sinusoid(places, width):
    """Fixed 1-D position encoding (section 5), computed in double precision.

    Column 2i is sin(place / 10000^(2i / width)), column 2i + 1 the cosine of the same.
    """
    places = torch.as_tensor(places)
    even = torch.arange(0, width, 2, dtype=torch.float64, device=places.device)
    angle = places.to(torch.float64)[..., None] * torch.exp(even * (-math.log(10000.0) / width))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)[..., :width]


def erase_rectangle(picture, x, y, w, h):
    """Random erasing with given parameters, after normalisation (section 6)."""
    erased = picture.clone()
    erased[..., y : y + h, x : x + w] = 0
    return erased


def erase_patches(patches, which):
    """Zero the centred square of 97 % of the side in patches `which` (section 6)."""
    erased = patches.clone()
    side = (97 * patches.shape[-1] + 50) // 100
    start = (patches.shape[-1] - side) // 2
    inner = slice(start, start + side)
    erased[torch.as_tensor(which, dtype=torch.long), :, inner, inner] = 0
    return erased


# Encoders: section 4


def resnet(kind, stages=4, channels=3):
    """torchvision's ResNet to global pooling, as a Sequential with upstream's names (section 4).

    0 is conv1, 1 bn1, 4 to 7 layer1 to layer4. A stem for other than 3 channels has PyTorch's
    default initialisation; everything else has torchvision's (section 3).
    """
    if kind not in ("resnet18", "resnet50"):
        raise ValueError(f"unknown ResNet {kind!r}")
    whole = getattr(torchvision.models, kind)(weights=None)
    stem = whole.conv1 if channels == 3 else nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    layers = [whole.layer1, whole.layer2, whole.layer3, whole.layer4][:stages]
    pooling = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(stem, whole.bn1, nn.ReLU(inplace=True), whole.maxpool, *layers, *pooling)


def _projection(inputs, width):
    """LN without affine (eps 1e-5) -> Linear -> BatchNorm1d -> ReLU (section 4)."""
    norm = nn.LayerNorm(inputs, eps=1e-5, elementwise_affine=False)
    return [norm, nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]


def encoder(kind, width=512, stages=4, channels=3, features=1024):
    """Patches (n, C, p, p), or vectors (n, features), -> embeddings (n, width) (section 4).

    "resnet18" has no projector. "resnet50" has it under upstream's names 9.2 (Linear) and 9.3
    (BatchNorm), "features" under 1 and 2.
    """
    if kind == "features":
        return nn.Sequential(*_projection(features, width))
    body = resnet(kind, stages, channels)
    if kind == "resnet50":
        projection = _projection(256 * 2 ** (stages - 1), width)
        return nn.Sequential(*body[:-1], nn.Sequential(nn.Flatten(), *projection))
    if width != 64 * 2 ** (stages - 1):
        raise ValueError(f"{stages} stages give width {64 * 2 ** (stages - 1)}, not {width}")
    return body


# Aggregation: section 3


class CrossAttention(nn.Module):
    """Multi-head cross-attention from T tokens, without biases; eqs. (5) and (6) (section 3)."""

    def __init__(self, width, heads, key_width, value_width, tokens, dropout, attention_dropout):
        super().__init__()
        self.heads, self.key_width, self.value_width = heads, key_width, value_width
        bound = math.sqrt(1.0 / key_width)
        self.q = nn.Parameter(torch.empty(1, tokens, width).uniform_(-bound, bound))
        self.q_w = nn.Linear(width, heads * key_width, bias=False)
        self.k_w = nn.Linear(width, heads * key_width, bias=False)
        self.v_w = nn.Linear(width, heads * value_width, bias=False)
        self.fc = nn.Linear(heads * value_width, width, bias=False)
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.attention_dropout = nn.Dropout(attention_dropout)

    def logits(self, query, rows):
        """(B, T, D), (B, n, D) -> (B, T, H, n): (q W_q)_h . (e_i W_k)_h / sqrt(Dk) (eq. (2))."""
        q = self.q_w(query).unflatten(-1, (self.heads, self.key_width))
        k = self.k_w(rows).unflatten(-1, (self.heads, self.key_width))
        return torch.einsum("bthd,bnhd->bthn", q, k) / math.sqrt(self.key_width)

    def forward(self, query, rows, present=None):
        """Drop(W_o attn(query, rows)) over the rows that `present` (B, n) marks (section 2).

        A picture with no row present gets zeros.
        """
        logits = self.logits(query, rows)
        if present is None:
            weights = logits.softmax(dim=-1)
        else:
            present = present[:, None, None, :]
            masked = logits.masked_fill(~present, torch.finfo(logits.dtype).min)
            weights = masked.softmax(dim=-1) * present
        v = self.v_w(rows).unflatten(-1, (self.heads, self.value_width))
        out = torch.einsum("bthn,bnhd->bthd", self.attention_dropout(weights), v)
        return self.dropout(self.fc(out.flatten(-2)))


class Mlp(nn.Module):
    """LN2(Drop(W2 relu(W1 Z)) + Z), eq. (8) (section 3); Linear layers w_1 ... w_layers."""

    def __init__(self, width, hidden, layers, dropout):
        super().__init__()
        self.layers = layers
        sizes = [width] + [hidden] * (layers - 1) + [width]
        for i in range(layers):
            setattr(self, f"w_{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z):
        x = z
        for i in range(1, self.layers):
            x = getattr(self, f"w_{i}")(x).relu()
        return self.layer_norm(self.dropout(getattr(self, f"w_{self.layers}")(x)) + z)


class Transformer(nn.Module):
    """The dual-attention aggregation, eqs. (5) to (8) (section 3)."""

    def __init__(
        self,
        width=512,
        heads=8,
        key_width=None,
        value_width=None,
        tokens=1,
        mlp_width=None,
        mlp_layers=2,
        dropout=0.0,
        attention_dropout=0.0,
    ):
        super().__init__()
        widths = key_width or width // heads, value_width or width // heads
        self.crs_attn = CrossAttention(width, heads, *widths, tokens, dropout, attention_dropout)
        self.mlp = Mlp(width, mlp_width or 4 * width, mlp_layers, dropout)

    def logits(self, embeddings):
        """(N, D) -> (N, T*H) per-head logits, token t and head h in column t*H + h (section 2)."""
        return self.crs_attn.logits(self.crs_attn.q, embeddings[None])[0].flatten(0, 1).T

    def dual(self, salient, sub_salient=None, salient_present=None, sub_present=None):
        """Two passes: q over P_M, then LN(Z1) over the detached P_S (section 3, eqs. (5) to (8)).

        Without P_S the second pass is skipped. Gives z1, z2, z and z_prime, each (B, T, D).
        """
        attention = self.crs_attn
        q = attention.q.expand(len(salient), -1, -1)
        z1 = attention(q, salient, salient_present) + q
        if sub_salient is None or sub_salient.shape[1] == 0:
            z2 = torch.zeros_like(z1)
        else:
            z2 = attention(attention.layer_norm(z1), sub_salient.detach(), sub_present)
        z = attention.layer_norm(z1 + z2)
        return {"z1": z1, "z2": z2, "z": z, "z_prime": self.mlp(z)}

    def single(self, rows, present=None):
        """One pass over `rows` (B, n, D): IPS, or [P_M ; detached P_S] (section 3, ablations)."""
        return self.dual(rows, None, present)["z_prime"]


# Selection: section 2


def scores(logits):
    """(N, T*H) -> (N,): mean over heads and tokens of the softmax over the rows (section 2)."""
    return logits.softmax(dim=0).mean(dim=1)


@dataclasses.dataclass
class Step:
    """One scan step: the ordered positions after it, the relative gap at each boundary decided.

    A gap is (last kept - first left out) / last kept; infinity where nothing was left out.
    """

    salient: list
    sub_salient: list
    salient_gap: float = math.inf
    sub_salient_gap: float = math.inf

    @property
    def gap(self):
        return min(self.salient_gap, self.sub_salient_gap)


def _rank(logits, members, places):
    """`members` by falling score within the set, ties by place; and the scores (section 2)."""
    members = sorted(members, key=lambda i: places[i])
    if not members:
        return [], []
    values, order = scores(logits[members]).sort(descending=True, stable=True)
    return [members[i] for i in order.tolist()], values.tolist()


def _gap(values, kept):
    """The relative gap of the last of the first `kept` scores to the next (section 9, check 8)."""
    if not 0 < kept < len(values):
        return math.inf
    return (values[kept - 1] - values[kept]) / max(values[kept - 1], 1e-300)


def _cut(ranked, values, m, s):
    """First m salient, next s sub-salient of one ranking (eqs. (3) and (4), section 2)."""
    sub_gap = _gap(values, m + s) if s else math.inf
    return Step(ranked[:m], ranked[m : m + s], _gap(values, m), sub_gap)


def scan(logits, m, s, step, rule="upstream", places=None):
    """The scan over precomputed logits (N, T*H) in the order given: a list of Step (section 2).

    `places` are places in the grid, which break ties under "global"; the other rules take the
    earlier in scan order. "global" gives one Step. So does m >= n: all salient, in scan order.
    s = 0 is IPS.
    """
    n = len(logits)
    if rule not in ("upstream", "joint", "global"):
        raise ValueError(f"unknown rule {rule!r}")
    if m >= n:
        return [Step(list(range(n)), [])]
    order = list(range(n))
    if rule == "global":
        grid = order if places is None else torch.as_tensor(places).tolist()
        return [_cut(*_rank(logits, order, grid), m, s)]
    salient, sub_salient, steps = order[:m], [], []
    for start in range(m, n, step):
        new = order[start : start + step]
        if rule == "joint":
            record = _cut(*_rank(logits, salient + sub_salient + new, order), m, s)
        else:
            ranked, values = _rank(logits, salient + new, order)
            record = Step(ranked[:m], [], _gap(values, m))
            if s:
                others, other_values = _rank(logits, ranked[m:] + sub_salient, order)
                record.sub_salient, record.sub_salient_gap = others[:s], _gap(other_values, s)
        salient, sub_salient = record.salient, record.sub_salient
        steps.append(record)
    return steps


@dataclasses.dataclass
class Selection:
    """One picture's selection: grid indices, best first; P_S as scanned; the steps and the gap.

    Steps hold positions in scan order. `logits` (in scan order) is None where nothing was scored.
    """

    salient: torch.Tensor
    sub_salient: torch.Tensor
    sub_embeddings: torch.Tensor
    steps: list
    logits: torch.Tensor = None

    @property
    def gap(self):
        return min(step.gap for step in self.steps)


# The whole model


@contextlib.contextmanager
def _evaluating(module):
    """Eval mode inside, every submodule's own mode restored after (section 1, step 4)."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes:
            child.training = mode


def _pad(rows):
    """A list of (n_b, D) -> (B, n, D) and the mask (B, n) of the rows present, None if all are."""
    counts = torch.tensor([len(r) for r in rows], device=rows[0].device)
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    present = torch.arange(padded.shape[1], device=counts.device)[None] < counts[:, None]
    return padded, None if bool(present.all()) else present


class Net(nn.Module):
    """Encoder, selection, aggregation and one Linear per task (sections 1 to 4).

    `tasks` is a list of (name, kind, classes), kind one of multiclass, multilabel, binary.
    `transformer` holds Transformer's heads, key_width, ... `patches` is (B, N, C, p, p),
    (B, N, features), or a list of one tensor a picture. `keep` is what drop and shuffle left: grid
    indices in scan order, (K,) for all pictures or one row a picture; None scans the whole grid in
    order. `step` overrides the scan step, which shrinks with the drop ratio.
    """

    def __init__(
        self,
        tasks,
        kind="resnet18",
        width=512,
        stages=4,
        channels=3,
        features=1024,
        method="dbps",
        single_attention=False,
        rule="upstream",
        m=12,
        m_eval=None,
        s=36,
        step=32,
        position_encoding=False,
        **transformer,
    ):
        super().__init__()
        if method not in ("dbps", "ips"):
            raise ValueError(f"unknown method {method!r}")
        self.kinds = {name: task_kind for name, task_kind, _ in tasks}
        self.width, self.single_attention, self.rule = width, single_attention, rule
        self.m, self.m_eval = m, m if m_eval is None else m_eval
        self.s, self.step = (s if method == "dbps" else 0), step
        self.position_encoding = position_encoding
        self.encoder = encoder(kind, width, stages, channels, features)
        self.transf = Transformer(width, tokens=len(tasks), **transformer)
        self.output_layers = nn.ModuleDict()
        for name, task_kind, classes in tasks:
            squash = nn.Softmax(dim=-1) if task_kind == "multiclass" else nn.Sigmoid()
            self.output_layers[name] = nn.Sequential(nn.Linear(width, classes), squash)
        self.selection = self.aggregated = self.logits = None

    def _placed(self, rows, places):
        """Embeddings, with the encoding of their places in the grid if it is on (section 5)."""
        if not self.position_encoding:
            return rows
        return rows + sinusoid(places, self.width).to(rows)

    @torch.no_grad()
    def _select_one(self, patches, keep, m, step):
        """Scan one picture: embed M, then L at a time; score; rank (section 1, steps 4 and 5)."""
        if m >= len(keep):
            empty = next(self.parameters()).new_zeros(0, self.width)
            return Selection(keep, keep[:0], empty, scan(keep, m, self.s, step, self.rule))
        chunks = [keep[:m], *keep[m:].split(step)]
        embeddings = torch.cat([self.encoder(patches[chunk]) for chunk in chunks])
        logits = self.transf.logits(self._placed(embeddings, keep))
        steps = scan(logits, m, self.s, step, self.rule, keep)
        salient, sub_salient = steps[-1].salient, steps[-1].sub_salient
        return Selection(keep[salient], keep[sub_salient], embeddings[sub_salient], steps, logits)

    def select(self, patches, keep=None, step=None):
        """One Selection a picture; no gradient, running statistics (section 1, steps 4 and 5)."""
        m = self.m if self.training else self.m_eval
        shared = torch.is_tensor(keep) and keep.dim() == 1
        selections = []
        with _evaluating(self):
            for b, picture in enumerate(patches):
                if keep is None:
                    kept = torch.arange(len(picture))
                else:
                    kept = torch.as_tensor(keep if shared else keep[b])
                kept = kept.to(picture.device, torch.long)
                selections.append(self._select_one(picture, kept, m, step or self.step))
        return selections

    def forward(self, patches, keep=None, step=None):
        """{task: probabilities (B, C)}; leaves .selection, .logits and .aggregated (B, T, D).

        The salient patches of all pictures are embedded as one BatchNorm batch (section 1, step 6).
        """
        self.selection = chosen = self.select(patches, keep, step)
        rows = self.encoder(torch.cat([p[one.salient] for p, one in zip(patches, chosen)]))
        rows = rows.split([len(one.salient) for one in chosen])
        salient = [self._placed(row, one.salient) for row, one in zip(rows, chosen)]
        sub_salient = [self._placed(one.sub_embeddings, one.sub_salient) for one in chosen]
        if self.single_attention:
            both = [torch.cat(pair) for pair in zip(salient, sub_salient)]
            self.aggregated = self.transf.single(*_pad(both))
        else:
            (salient, present), (sub_salient, sub_present) = _pad(salient), _pad(sub_salient)
            dual = self.transf.dual(salient, sub_salient, present, sub_present)
            self.aggregated = dual["z_prime"]
        self.logits, probabilities = {}, {}
        for t, (name, layer) in enumerate(self.output_layers.items()):
            self.logits[name] = layer[0](self.aggregated[:, t])
            probabilities[name] = layer[1](self.logits[name])
        return probabilities


# Loss, learning rate, training: section 3


def loss(outputs, labels, kinds, epsilon=1e-6, from_logits=False):
    """The mean over tasks of the mean over pictures (section 3).

    Multiclass: -log(softmax + epsilon); epsilon = 0 is plain cross entropy, through log_softmax if
    `outputs` are logits. Others: binary cross entropy, logarithms clamped at -100. Takes dicts by
    task, or one task's tensors and kind.
    """
    if not isinstance(outputs, dict):
        outputs, labels, kinds = {"": outputs}, {"": labels}, {"": kinds}
    total = 0.0
    for name, output in outputs.items():
        label = torch.as_tensor(labels[name], device=output.device)
        if kinds[name] == "multiclass":
            if from_logits and epsilon == 0:
                logarithm = output.log_softmax(dim=-1)
            else:
                logarithm = ((output.softmax(dim=-1) if from_logits else output) + epsilon).log()
            total = total + F.nll_loss(logarithm, label.long())
        else:
            probability = output.sigmoid() if from_logits else output
            total = total + F.binary_cross_entropy(probability, label.to(output).view_as(output))
    return total / len(outputs)


def learning_rate(step, warmup, total, lr):
    """Linear warm-up, then cosine to lr / 1000, at the 1-based optimiser step (section 3)."""
    if step < warmup:
        return lr * step / warmup
    progress = (step - warmup) / (total - warmup) if total > warmup else 0.0
    k = (1 + math.cos(math.pi * progress)) / 2
    return lr * (k + 0.001 * (1 - k))


def make_optimizer(net, weight_decay=0.1, lr=1e-4):
    """AdamW with the weight decay on all parameters (section 3)."""
    return torch.optim.AdamW(
        net.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay
    )


def train(net, batches, steps, lr=1e-4, warmup=0, total=None, epsilon=1e-6, weight_decay=0.1):
    """Run `steps` training steps; after each yield (loss, selection, state dict before the step).

    `batches` holds (patches, labels), (patches, labels, keep) or (patches, labels, keep, step) and
    is cycled. Nothing changes until the next item is asked for (sections 1 and 3).
    """
    optimizer = make_optimizer(net, weight_decay)
    for i, batch in enumerate(itertools.islice(itertools.cycle(batches), steps)):
        patches, labels, *choice = batch
        before = copy.deepcopy(net.state_dict())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(i + 1, warmup, total or steps, lr)
        net.train()
        net(patches, *choice)
        value = loss(net.logits, labels, net.kinds, epsilon, from_logits=True)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        yield value.item(), net.selection, before


# Baselines: baselines.md, DeepMIL and TopMIL


class GatedAttention(nn.Module):
    """DeepMIL's pooling, (..., N, D) -> (..., D): sum of softmax(w(tanh(V h) sigmoid(U h))) h."""

    def __init__(self, width=512, hidden=128):
        super().__init__()
        self.V = nn.Linear(width, hidden)
        self.U = nn.Linear(width, hidden)
        self.w = nn.Linear(hidden, 1)

    def weights(self, rows):
        return self.w(self.V(rows).tanh() * self.U(rows).sigmoid()).squeeze(-1).softmax(dim=-1)

    def forward(self, rows):
        return (self.weights(rows)[..., None] * rows).sum(dim=-2)


class MeanPool(nn.Module):
    """The mean over the rows: (..., N, D) -> (..., D)."""

    def forward(self, rows):
        return rows.mean(dim=-2)


def top_mil(logits, label, m, kind="multiclass", scored=None):
    """TopMIL for one bag: the `top` m tiles, their `loss` under the bag's label, and `bag`.

    `logits` (N, C) of the tile classifier; `scored` the logits of the pass without gradient that
    picks the tiles (default `logits`). A tile's score is its largest class probability (its
    probability if binary). `bag` is the largest tile probability, or, multiclass, the softmax of
    the mean logits of the top m.
    """
    scored = (logits if scored is None else scored).detach()
    multiclass = kind == "multiclass"
    probability = scored.softmax(dim=-1) if multiclass else scored.sigmoid()
    top = probability.max(dim=-1).values.sort(descending=True, stable=True).indices[:m]
    label = torch.as_tensor(label, device=logits.device)
    value = loss(logits[top], label.expand(len(top), *label.shape), kind, 0, from_logits=True)
    bag = scored[top].mean(dim=0).softmax(dim=-1) if multiclass else probability.max(dim=0).values
    return {"top": top, "loss": value, "bag": bag}


# Metrics: section 5


def _auc(truth, scores_):
    """Mean ROC AUC over the columns that hold both classes, NaN if none does."""
    columns = [c for c in range(truth.shape[1]) if 0 < truth[:, c].sum() < len(truth)]
    areas = [sk.roc_auc_score(truth[:, c], scores_[:, c]) for c in columns]
    return float(np.mean(areas)) if areas else math.nan


def metrics(kind, probabilities, labels):
    """Metrics of one task by scikit-learn; decisions by argmax or at 0.5 (section 5).

    Multiclass and binary: accuracy, auc, macro_f1, balanced_accuracy, kappa, quadratic_kappa.
    Multilabel: exact_match, auc, macro_f1. AUC of more than two classes is macro one-vs-rest. The
    quadratic kappa's distances are those of the class numbers, classes that do not occur included.
    """
    probabilities = np.asarray(torch.as_tensor(probabilities).detach().cpu(), dtype=np.float64)
    labels = np.asarray(torch.as_tensor(labels).cpu()).astype(np.int64)
    if kind == "multilabel":
        guess = (probabilities >= 0.5).astype(np.int64)
        return {
            "exact_match": float((guess == labels).all(axis=1).mean()),
            "auc": _auc(labels, probabilities),
            "macro_f1": float(sk.f1_score(labels, guess, average="macro", zero_division=0)),
        }
    labels, classes = labels.reshape(-1), 2 if kind == "binary" else probabilities.shape[1]
    if kind == "binary":
        probabilities = probabilities.reshape(-1, 1)
        guess, truth = (probabilities[:, 0] >= 0.5).astype(np.int64), labels[:, None]
    else:
        guess, truth = probabilities.argmax(axis=1), np.eye(classes)[labels]
        if classes == 2:
            truth, probabilities = truth[:, 1:], probabilities[:, 1:]
    return {
        "accuracy": float(sk.accuracy_score(labels, guess)),
        "auc": _auc(truth, probabilities),
        "macro_f1": float(sk.f1_score(labels, guess, average="macro", zero_division=0)),
        "balanced_accuracy": float(sk.balanced_accuracy_score(labels, guess)),
        "kappa": float(sk.cohen_kappa_score(labels, guess)),
        "quadratic_kappa": float(
            sk.cohen_kappa_score(labels, guess, labels=np.arange(classes), weights="quadratic")
        ),
    }

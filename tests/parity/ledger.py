"""What was compared, how far apart it lay, and what was let pass."""

import dataclasses
import json

import torch

# method.md, section 9. "rel": the largest difference over the reference's largest value.
CHECKS = {
    1: ("resize, in 1/255", "abs", 1.0),
    2: ("normalise, patch order", "abs", 1e-6),
    3: ("jitter, translation", "abs", 2.0 / 255),
    4: ("embeddings, evaluated", "rel", 1e-4),
    5: ("BatchNorm over 3 steps", "abs", 1e-5),
    6: ("projector", "abs", 1e-5),
    7: ("logits, scores", "abs", 1e-5),
    8: ("buffers after every scan step", "sets", 1e-5),
    9: ("dual attention Z1, Z2, Z, Z'", "abs", 1e-5),
    10: ("gradients, fp64", "rel", 1e-4),
    "10b": ("gradients, fp32", "rel", 1e-4),
    11: ("losses", "abs", 1e-6),
    12: ("learning rate", "rel", 1e-9),
    13: ("AdamW, 20 steps", "rel", 1e-6),
    14: ("kept patches, scan steps", "abs", 0.0),
    15: ("metrics", "abs", 1e-9),
    16: ("20 training steps, fp64", "rel", 1e-8),
    "16b": ("20 training steps, fp32, restarted", "rel", 1e-4),
    "predict": ("predict: probabilities", "abs", 1e-4),
    "predict sets": ("predict: salient, sub-salient", "sets", 1e-5),
}
# Of what is compared, the share that may be excused: near-ties, and ReLUs near 0 (checks_model.py).
EXCUSED_SHARE = {"10b": 0.1}
EXCUSED_SETS = 0.01


@dataclasses.dataclass
class Entry:
    cases: set = dataclasses.field(default_factory=set)
    worst: float = 0.0
    compared: int = 0
    excused: int = 0


class Ledger:
    """One entry a check; a process has one, and those of all are added."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.entries = {check: Entry() for check in CHECKS}

    def add(self, entries):
        for check, other in entries.items():
            entry = self.entries[check]
            entry.cases |= other.cases
            entry.worst = max(entry.worst, other.worst)
            entry.compared += other.compared
            entry.excused += other.excused

    def compare(
        self, check, case, tensor, ours, reference, scale=None, tolerance=None, excused=False
    ):
        """Fails naming tensor, index and both values. `scale`: what "rel" divides by. `excused`:
        what fails is counted and let pass."""
        title, kind, allowed = CHECKS[check]
        allowed = allowed if tolerance is None else tolerance
        entry = self.entries[check]
        entry.cases.add(case)
        entry.compared += 1
        ours, reference = _tensor(ours), _tensor(reference)
        if ours.shape != reference.shape:
            raise AssertionError(
                f"check {check} ({title}), {case}: {tensor} is {tuple(ours.shape)}, "
                f"the reference's {tuple(reference.shape)}"
            )
        if ours.numel() == 0:
            return
        ours, reference = ours.double(), reference.double()
        difference = (ours - reference).abs()
        difference[ours.isnan() & reference.isnan()] = 0
        difference[ours.isnan() != reference.isnan()] = float("inf")
        if kind == "rel":
            difference = difference / max(
                reference.abs().max().item() if scale is None else scale, 1e-300
            )
        worst = difference.max().item()
        if excused and not worst <= allowed:
            entry.excused += 1
            return
        # A tensor held to a tolerance of its own stands in the table by its share of it.
        entry.worst = max(
            entry.worst,
            worst if tolerance is None or allowed == 0 else worst / allowed * CHECKS[check][2],
        )
        if not worst <= allowed:
            place = tuple(
                int(i) for i in torch.unravel_index(difference.argmax(), difference.shape)
            )
            raise AssertionError(
                f"check {check} ({title}), {case}: {tensor}{list(place)} is "
                f"{ours[place].item():.17g}, the reference's "
                f"{reference[place].item():.17g} ({kind} difference {worst:.3g}, "
                f"allowed {allowed:.3g})"
            )

    def compare_sets(self, check, case, tensor, ours, reference, gap):
        """Equal as sets, unless the smallest relative score gap that decided is below the limit."""
        title, _, allowed = CHECKS[check]
        entry = self.entries[check]
        entry.cases.add(case)
        entry.compared += 1
        if set(ours) == set(reference) and len(ours) == len(reference):
            return
        if gap < allowed:
            entry.excused += 1
            return
        raise AssertionError(
            f"check {check} ({title}), {case}: {tensor} has {sorted(set(ours) - set(reference))} "
            f"and lacks {sorted(set(reference) - set(ours))}; the closest scores at a "
            f"boundary lay {gap:.3g} apart"
        )

    def too_many_excused(self):
        """The checks that let more pass than they may."""
        return [
            check
            for check, entry in self.entries.items()
            if entry.excused > EXCUSED_SHARE.get(check, EXCUSED_SETS) * entry.compared
        ]

    def rows(self):
        for check, (title, kind, tolerance) in CHECKS.items():
            entry = self.entries[check]
            yield {
                "check": str(check),
                "what": title,
                "cases": len(entry.cases),
                "compared": entry.compared,
                "worst": entry.worst if kind != "sets" else None,
                "kind": kind,
                "tolerance": tolerance,
                "excused": entry.excused if kind == "sets" or check in EXCUSED_SHARE else None,
            }

    def table(self):
        lines = [f"{'check':<13}{'what':<36}{'cases':>6}{'worst':>10}{'tolerance':>15}  excused"]
        for row in self.rows():
            worst = "-" if row["worst"] is None else f"{row['worst']:.1e}"
            tolerance = (
                "exact" if row["tolerance"] == 0 else f"{row['kind']} {row['tolerance']:.1e}"
            )
            excused = "" if row["excused"] is None else f"{row['excused']} of {row['compared']}"
            lines.append(
                f"{row['check']:<13}{row['what']:<36}{row['cases']:>6}{worst:>10}"
                f"{tolerance:>15}  {excused}"
            )
        return "\n".join(lines)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(list(self.rows()), file, indent=1)


def _tensor(value):
    """A number of Python's keeps all its digits."""
    return value.detach() if torch.is_tensor(value) else torch.tensor(value, dtype=torch.float64)


LEDGER = Ledger()

"""Check 8: what the scan keeps after every step."""

import itertools

import torch

import reference
import settings
from checks_model import ModelTest, draw_patches
from harness import SEEDS, Case
from ledger import LEDGER

RULES = ("upstream", "joint", "global")


def members(row):
    """Positions of a row of the probe's, which ends in -1."""
    return [int(i) for i in row if i >= 0]


def compare_steps(check, case, salient, sub_salient, steps):
    """The probe's buffers against the reference's steps; a near-tie excuses what follows."""
    gap = float("inf")
    if len(salient) != len(steps):
        raise AssertionError(
            f"check {check}, {case}: {len(salient)} steps, the reference's {len(steps)}"
        )
    for i, step in enumerate(steps):
        gap = min(gap, step.gap)
        LEDGER.compare_sets(
            check, case, f"salient after step {i}", members(salient[i]), step.salient, gap
        )
        LEDGER.compare_sets(
            check,
            case,
            f"sub-salient after step {i}",
            members(sub_salient[i]),
            step.sub_salient,
            gap,
        )


class Selection(ModelTest):
    # N, M, S, L: the buffer fills; it does not; short last steps; one step; M of all; IPS.
    SIZES = (
        (40, 6, 12, 7),
        (20, 6, 30, 5),
        (23, 5, 4, 6),
        (12, 4, 4, 100),
        (12, 12, 4, 3),
        (10, 14, 4, 3),
        (33, 7, 0, 5),
    )

    def compare_scans(self, cases, expected):
        """The probe's scan of given logits, step by step, with the reference's."""
        found = self.probe("scan_logits", cases)
        for case in cases:
            with self.subTest(case.name):
                compare_steps(
                    8,
                    case.name,
                    found[case.name]["salient"],
                    found[case.name]["sub_salient"],
                    expected[case.name],
                )

    def test_08_rules_on_given_logits(self):
        cases, expected = [], {}
        for seed, rule, (n, m, s, step) in itertools.product(SEEDS, RULES, self.SIZES):
            for columns, spread in ((1, 1.0), (8, 0.3), (24, 2.0)):
                random = torch.Generator().manual_seed(seed + 100 * columns + n)
                logits = spread * torch.randn(n, columns, generator=random, dtype=torch.float64)
                places = torch.randperm(2 * n, generator=random)[:n]
                name = f"{rule}-n{n}-m{m}-s{s}-l{step}-h{columns}-seed{seed}"
                setting = settings.R18.but(
                    rule=rule, m=m, s=s, step=step, method="dbps" if s else "ips"
                )
                cases.append(
                    Case(name, {"config": setting.config()}, {"logits": logits, "places": places})
                )
                expected[name] = reference.scan(logits, m, s, step, rule, places)
        self.compare_scans(cases, expected)

    def test_08_ties(self):
        """Equal logits: the earlier in the scan order, or under `global` the lower place."""
        cases, expected = [], {}
        for seed, rule in itertools.product(SEEDS, RULES):
            random = torch.Generator().manual_seed(seed)
            logits = torch.randint(0, 3, (30, 4), generator=random).double()
            places = torch.randperm(30, generator=random)
            name = f"{rule}-ties-seed{seed}"
            config = settings.R18.but(rule=rule, m=5, s=8, step=6).config()
            cases.append(Case(name, {"config": config}, {"logits": logits, "places": places}))
            expected[name] = reference.scan(logits, 5, 8, 6, rule, places)
            for step in expected[name]:  # nothing is excused
                step.salient_gap = step.sub_salient_gap = float("inf")
        self.compare_scans(cases, expected)

    def test_08_pictures(self):
        """Through the encoder, with dropped patches, in training and with M' of evaluation."""
        zoo = [settings.R18.but(rule=rule, rows=5, columns=8, m=6, s=12, step=7) for rule in RULES]
        zoo += [
            settings.R50,
            settings.FEATURES,
            settings.GREY,
            settings.TASKS,
            settings.TASKS.but(s=30, rule="joint", position=True),
        ]
        cases, expected = [], {}
        for seed, setting, training in itertools.product(SEEDS, zoo, (True, False)):
            net, parameters = self.make(setting, seed)
            random = torch.Generator().manual_seed(seed)
            dropped = 3 if training else 0
            keep = [
                torch.randperm(setting.n, generator=random)[dropped:].sort().values
                for _ in range(3)
            ]
            pixels, patches = zip(*(draw_patches(setting, 30 * seed + b) for b in range(3)))
            mode = "train" if training else "eval"
            name = f"{setting.name}-{setting.rule}-s{setting.s}-{mode}-seed{seed}"
            cases.append(
                Case(
                    name,
                    dict(parameters, training=training),
                    {
                        "pixels": torch.stack([one[kept] for one, kept in zip(pixels, keep)]),
                        "places": torch.stack(keep),
                    },
                )
            )
            net.train(training)
            expected[name] = (keep, net.select(torch.stack(patches), torch.stack(keep)))
        found = self.probe("scan_pictures", cases)
        for case in cases:
            keep, selections = expected[case.name]
            ours = found[case.name]
            for b, selection in enumerate(selections):
                with self.subTest(case.name, picture=b):
                    compare_steps(
                        8,
                        case.name,
                        ours[f"salient_steps.{b}"],
                        ours[f"sub_salient_steps.{b}"],
                        selection.steps,
                    )
                    for kind in ("salient", "sub_salient"):
                        LEDGER.compare_sets(
                            8,
                            case.name,
                            f"{kind} of picture {b}",
                            keep[b][members(ours[kind][b])].tolist(),
                            getattr(selection, kind).tolist(),
                            selection.gap,
                        )

"""Checks 11 to 15: losses, learning rate, optimiser, arithmetic, metrics."""

import itertools
import math

import numpy as np
import torch

import reference
import settings
from checks_model import draw_labels
from harness import SEEDS, Case, ParityTest
from ledger import LEDGER

# N, L and every M of Table 1, a data set (CAMELYON16: slides of some sizes).
TABLE_1 = {
    "cqu_bpdd": ((108,), (32,), (12, 36, 108)),
    "fmow": ((81,), (23,), (12, 36, 81)),
    "ddr": ((36,), (16,), (4, 9, 18)),
    "mame": ((100,), (32,), (10, 30, 100)),
    "signs": ((192,), (32,), (2, 10)),
    "camelyon16": ((2500, 12345, 70000), (500, 5000), (1000, 4000, 8000)),
    "megapixel_mnist": ((900,), (100,), (100,)),
}


class Training(ParityTest):
    def test_11_losses(self):
        single = [
            (("label", "multiclass", 5),),
            (("label", "multilabel", 4),),
            (("label", "binary", 1),),
        ]
        tasks = single + [settings.TASKS.tasks]
        cases, expected = [], {}
        # The wider the logits, the nearer some probabilities come to 0.
        for seed, (i, tasks), width, epsilon in itertools.product(
            SEEDS, enumerate(tasks), (1, 10, 200), (1e-6, 0.0)
        ):
            for dtype in (torch.float32, torch.float64):
                torch.manual_seed(seed)
                logits = {
                    name: width * torch.randn(7, classes, dtype=dtype) for name, _, classes in tasks
                }
                labels = draw_labels(tasks, 7, seed)
                kinds = {name: kind for name, kind, _ in tasks}
                name = f"tasks{i}-width{width}-epsilon{epsilon}-{dtype}-seed{seed}"
                config = settings.R18.but(tasks=tasks, epsilon=epsilon).config()
                tensors = {f"logits.{task}": value for task, value in logits.items()}
                tensors.update({f"label.{task}": value for task, value in labels.items()})
                cases.append(Case(name, {"config": config}, tensors))
                expected[name] = {
                    "loss": reference.loss(logits, labels, kinds, epsilon, from_logits=True)
                }
                for task, kind in kinds.items():
                    expected[name][f"loss.{task}"] = reference.loss(
                        logits[task], labels[task], kind, epsilon, from_logits=True
                    )
        found = self.probe("losses", cases)
        for case in cases:
            for tensor, value in expected[case.name].items():
                with self.subTest(case.name, tensor=tensor):
                    # fp32 cannot tell values of a hundred apart more finely.
                    allowed = 1e-6 * max(1.0, value.abs().item())
                    LEDGER.compare(
                        11,
                        case.name,
                        tensor,
                        found[case.name][tensor],
                        value,
                        tolerance=allowed if allowed > 1e-6 else None,
                    )

    def test_12_learning_rate(self):
        cases, expected = [], {}
        for rate, warmup, total in (
            (1e-4, 10, 100),
            (3e-4, 0, 37),
            (1e-3, 20, 20),
            (2e-3, 1, 2),
            (1e-4, 625, 6250),
        ):
            name = f"{rate}-{warmup}-of-{total}"
            cases.append(Case(name, {"learning_rate": rate, "warmup": warmup, "total": total}))
            expected[name] = [
                reference.learning_rate(step, warmup, total, rate) for step in range(1, total + 1)
            ]
        found = self.probe("learning_rate", cases)
        for case in cases:
            with self.subTest(case.name):
                for step, value in enumerate(expected[case.name]):
                    LEDGER.compare(
                        12,
                        case.name,
                        f"rate of step {step + 1}",
                        found[case.name]["learning_rate"][step],
                        value,
                    )

    def test_13_adamw(self):
        cases, expected = [], {}
        for seed, dtype in itertools.product(SEEDS, (torch.float32, torch.float64)):
            torch.manual_seed(seed)
            parameters = [
                torch.randn(shape, dtype=dtype)
                for shape in ((17, 5), (8, 3, 3, 3), (11,), (1, 1, 6))
            ]
            gradients = [
                torch.randn(20, *p.shape, dtype=dtype)
                * 10.0 ** torch.randint(-6, 2, (20, *[1] * p.dim()))
                for p in parameters
            ]
            rates = torch.tensor(
                [reference.learning_rate(s, 5, 20, 1e-2) for s in range(1, 21)], dtype=torch.float64
            )
            tensors = {"rates": rates}
            tensors.update({f"parameter.{i}": p for i, p in enumerate(parameters)})
            tensors.update({f"gradient.{i}": g for i, g in enumerate(gradients)})
            name = f"{dtype}-seed{seed}"
            cases.append(Case(name, {"weight_decay": 0.1}, tensors))
            module = torch.nn.Module()
            for i, p in enumerate(parameters):
                module.register_parameter(str(i), torch.nn.Parameter(p.clone()))
            optimizer = reference.make_optimizer(module, weight_decay=0.1)
            after = []
            for step in range(20):
                optimizer.param_groups[0]["lr"] = rates[step].item()
                for i, p in enumerate(module.parameters()):
                    p.grad = gradients[i][step].clone()
                optimizer.step()
                after.append([p.detach().clone() for p in module.parameters()])
            expected[name] = {
                f"parameter.{i}": torch.stack(kept) for i, kept in enumerate(zip(*after))
            }
        found = self.probe("adamw", cases)
        for case in cases:
            for tensor, value in expected[case.name].items():
                with self.subTest(case.name, tensor=tensor):
                    LEDGER.compare(13, case.name, tensor, found[case.name][tensor], value)

    def test_14_kept_patches_and_scan_steps(self):
        rows = [
            row
            for sizes in TABLE_1.values()
            for row in itertools.product(
                [f"0.{tenth}" for tenth in range(10)], *map(list, (sizes[0], sizes[2], sizes[1]))
            )
        ]
        rows += [(f"0.{tenth}", n, 10, n) for tenth in range(1, 10) for n in range(10, 200, 10)]
        found = self.probe("counts", [Case("table1", {"rows": rows})])["table1"]
        for name, function in (
            ("kept", lambda r, n, m, step: reference.kept_patches(r, n, m)),
            ("scan_step", lambda r, n, m, step: reference.scan_step(r, step)),
        ):
            for i, row in enumerate(rows):
                with self.subTest(name, row=row):
                    LEDGER.compare(
                        14,
                        f"{row}",
                        f"{name} of r, N, M, L = {row}",
                        found[name][i],
                        function(*row),
                    )

    def test_15_metrics(self):
        cases, expected = [], {}
        for seed, ties in itertools.product(SEEDS, (False, True)):
            rng = np.random.default_rng(seed)
            for kind, classes, count in (
                ("multiclass", 2, 40),
                ("multiclass", 5, 83),
                ("multiclass", 29, 200),
                ("multilabel", 6, 70),
                ("binary", 1, 55),
            ):
                raw = (
                    rng.dirichlet(np.ones(classes), count)
                    if kind == "multiclass"
                    else rng.random((count, classes))
                )
                probabilities = (
                    np.floor(raw * 7 + 0.5) / 7 if ties else raw
                )  # never 0.5, a matter of taste
                shape = (count, classes) if kind == "multilabel" else (count, 1)
                labels = rng.integers(0, classes if kind == "multiclass" else 2, shape)
                if kind == "multiclass":
                    labels[:classes, 0] = np.arange(
                        classes
                    )  # scikit-learn's kappa counts the classes it sees
                name = f"{kind}{classes}-{'ties' if ties else 'free'}-seed{seed}"
                cases.append(
                    Case(
                        name,
                        {"kind": kind, "classes": max(2, classes)},
                        {
                            "probabilities": torch.from_numpy(probabilities),
                            "labels": torch.from_numpy(labels),
                        },
                    )
                )
                expected[name] = reference.metrics(kind, probabilities, labels)
        found = self.probe("metrics", cases)
        for case in cases:
            for metric, value in expected[case.name].items():
                with self.subTest(case.name, metric=metric):
                    self.assertFalse(math.isnan(value), "nothing to compare")
                    LEDGER.compare(15, case.name, metric, found[case.name][metric], value)

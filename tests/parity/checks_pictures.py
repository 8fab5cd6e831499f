"""Checks 1 to 3: pictures and patches."""

import itertools

import numpy as np
import torch

import reference
import settings
from harness import SEEDS, Case, ParityTest
from ledger import LEDGER
from settings import as_planes, draw_picture


class Pictures(ParityTest):
    def test_01_resize(self):
        sizes = [
            ((97, 131), (64, 64)),
            ((97, 131), (200, 340)),
            ((60, 80), (31, 160)),
            ((128, 96), (128, 33)),
            ((5, 7), (50, 3)),
        ]
        cases, expected = [], {}
        for seed, (source, (height, width)) in itertools.product(SEEDS, sizes):
            picture = draw_picture(seed, *source)
            name = f"seed{seed}-{source[0]}x{source[1]}-to-{height}x{width}"
            cases.append(
                Case(
                    name, {"height": height, "width": width}, {"picture": torch.from_numpy(picture)}
                )
            )
            expected[name] = torch.from_numpy(reference.resize(picture, height, width))
        found = self.probe("resize", cases)
        for case in cases:
            with self.subTest(case.name):
                LEDGER.compare(
                    1, case.name, "resized", found[case.name]["resized"], expected[case.name]
                )

    def test_02_patches(self):
        cases, expected = [], {}
        grids = [(100, 132, 32, 32), (96, 160, 48, 24), (64, 64, 64, 64)]
        for seed, (height, width, size, stride) in itertools.product(SEEDS, grids):
            for precision, channels in (("fp32", 3), ("fp64", 3), ("fp32", 1)):
                mean = list(reference.IMAGENET_MEAN)[:channels]
                std = list(reference.IMAGENET_STD)[:channels]
                setting = settings.R18.but(precision=precision, channels=channels)
                picture = draw_picture(seed, height, width, channels)
                name = f"seed{seed}-{height}x{width}-p{size}-by{stride}-{precision}-{channels}"
                config = setting.config(
                    data={
                        "height": height,
                        "width": width,
                        "patch_size": size,
                        "patch_stride": stride,
                        "mean": mean,
                        "std": std,
                    }
                )
                cases.append(Case(name, {"config": config}, {"picture": torch.from_numpy(picture)}))
                planes = as_planes(picture, setting.dtype)
                expected[name] = reference.cut_patches(
                    reference.normalise(planes, mean, std), size, stride
                )
        found = self.probe("patches", cases)
        for case in cases:
            with self.subTest(case.name):
                LEDGER.compare(
                    2, case.name, "patches", found[case.name]["patches"], expected[case.name]
                )

    def test_03_jitter_and_translation(self):
        cases, expected = [], {}
        orders = list(itertools.permutations(reference.JITTERS))[::5]
        shifts = [(0, 0), (13, -7), (-40, 31), (150, 2)]
        for seed, (i, order) in itertools.product(SEEDS, enumerate(orders)):
            rng = np.random.default_rng(100 * seed + i)
            brightness, contrast, saturation = (float(f) for f in rng.uniform(0.7, 1.3, 3))
            hue = float(rng.uniform(-0.3, 0.3))
            dx, dy = shifts[(seed + i) % len(shifts)]
            factors = {
                "brightness": brightness,
                "contrast": contrast,
                "saturation": saturation,
                "hue": hue,
            }
            picture = draw_picture(seed + 10 * i, 96, 130)
            precision = ("fp32", "fp64")[i % 2]
            name = f"seed{seed}-{'-'.join(word[:3] for word in order)}-by{dx},{dy}-{precision}"
            config = settings.R18.but(precision=precision).config(data={"height": 96, "width": 130})
            cases.append(
                Case(
                    name,
                    dict(factors, order=list(order), dx=dx, dy=dy, config=config),
                    {"picture": torch.from_numpy(picture)},
                )
            )
            jittered = reference.jitter(as_planes(picture), order, **factors)
            expected[name] = reference.cut_patches(reference.translate(jittered, dx, dy), 32)
        found = self.probe("jitter", cases)
        for case in cases:
            with self.subTest(case.name):
                for path in ("host", "device"):
                    LEDGER.compare(3, case.name, path, found[case.name][path], expected[case.name])

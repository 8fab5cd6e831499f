#!/usr/bin/env python3
"""Makes golden_jitter.csv: colour jitter in double precision, by the published definitions.

torchvision's float path: brightness, contrast and saturation blend the picture with black, with its
mean grey and with its grey (0.2989 R + 0.587 G + 0.114 B), clamped to [0, 1]; hue goes through HSV,
here Python's own colorsys. A line: the order, four factors, the mean grey that contrast blended with,
the 30 pixels' bytes before (HWC) and their values after.
"""

import colorsys
import csv
import pathlib
import random


def clamp(value):
    return min(1.0, max(0.0, value))


def grey(pixel):
    return 0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def blend(pixel, other, factor):
    return [clamp(factor * a + (1 - factor) * b) for a, b in zip(pixel, other)]


def turn_hue(pixel, amount):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return list(colorsys.hsv_to_rgb((hue + amount) % 1.0, saturation, value))


def jitter(pixels, order, factors):
    mean = None
    for turn in order:
        factor = factors[turn]
        if turn == 0:
            pixels = [blend(p, [0, 0, 0], factor) for p in pixels]
        elif turn == 1:
            mean = sum(grey(p) for p in pixels) / len(pixels)
            pixels = [blend(p, [mean] * 3, factor) for p in pixels]
        elif turn == 2:
            pixels = [blend(p, [grey(p)] * 3, factor) for p in pixels]
        else:
            pixels = [turn_hue(p, factor) for p in pixels]
    return pixels, mean


def main():
    rng = random.Random(5)
    folder = pathlib.Path(__file__).parent
    with open(folder / "golden_jitter.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["order", "brightness", "contrast", "saturation", "hue", "mean_grey", "before", "after"])
        for case in range(24):
            order = rng.sample(range(4), 4)
            wide = case % 2 == 0
            spread = 0.9 if wide else 0.1
            factors = [rng.uniform(1 - spread, 1 + spread) for _ in range(3)]
            factors.append(rng.uniform(-0.5, 0.5) if wide else rng.uniform(-0.1, 0.1))
            bytes_ = [[rng.randrange(256) for _ in range(3)] for _ in range(30)]
            bytes_[:6] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]
            bytes_[6:9] = [[200, 200, 40], [30, 200, 200], [120, 20, 120]]
            after, mean = jitter([[v / 255 for v in p] for p in bytes_], order, factors)
            out.writerow(
                [" ".join(map(str, order)), *map(repr, factors), repr(mean)]
                + [" ".join(str(v) for p in bytes_ for v in p)]
                + [" ".join(f"{v:.9f}" for p in after for v in p)]
            )


if __name__ == "__main__":
    main()

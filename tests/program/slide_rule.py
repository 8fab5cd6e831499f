"""Which tiles of a slide are kept, read a second time from docs/slides.md: numpy and scipy."""

import dataclasses
import math
from typing import Callable

import numpy
from scipy import ndimage

LEAST_THRESHOLD = 12
CELLS_A_TILE = 8
MOST_CELLS = 48e6
SAME_SCALE = 0.05


@dataclasses.dataclass
class Slide:
    """levels: (width, height, downsample); read(level) gives all of it, (height, width, 3)."""

    levels: list
    mpp: float
    read: Callable


@dataclasses.dataclass
class Rule:
    tile: int = 256
    overlap: int = 0
    mpp: float = 0.0
    level: int = 0
    threshold: int = -1
    foreground: float = 0.25
    specks: float = 1.0
    holes: float = 1.0


def nearest(value):
    return math.floor(value + 0.5)


def scale_of(slide, rule):
    """Level and how many of its pixels, a side, become one of a tile."""
    if not rule.mpp:
        return rule.level, 1.0
    fit = [i for i, (_, _, down) in enumerate(slide.levels)
           if slide.mpp * down <= rule.mpp * (1 + SAME_SCALE)]
    shrink = rule.mpp / (slide.mpp * slide.levels[fit[-1]][2])
    return fit[-1], shrink if abs(shrink - 1) > SAME_SCALE else 1.0


def box_means(pixels, side):
    rows = numpy.arange(0, pixels.shape[0], side)
    columns = numpy.arange(0, pixels.shape[1], side)
    sums = numpy.add.reduceat(pixels.astype(numpy.int64), rows, axis=0)
    sums = numpy.add.reduceat(sums, columns, axis=1)
    heights = numpy.diff(numpy.append(rows, pixels.shape[0]))
    widths = numpy.diff(numpy.append(columns, pixels.shape[1]))
    counts = (heights[:, None] * widths[None, :])[..., None]
    return (sums + counts // 2) // counts


def saturation(rgb):
    high, low = rgb.max(axis=2), rgb.min(axis=2)
    return numpy.where(high == 0, 0, (255 * (high - low) + high // 2) // numpy.maximum(high, 1))


def otsu(values):
    """The threshold that parts the values best, by trying all."""
    flat = numpy.sort(values.ravel()).astype(numpy.float64)
    total = numpy.concatenate([[0.0], numpy.cumsum(flat)])
    best, threshold = -1.0, 0
    for t in range(255):
        below = int(numpy.searchsorted(flat, t, side="right"))
        above = flat.size - below
        if below == 0 or above == 0:
            continue
        apart = total[below] / below - (total[-1] - total[below]) / above
        between = float(below) * above * apart**2
        if between > best * (1 + 1e-12):
            best, threshold = between, t
    return threshold


def small(regions, count, least):
    sizes = numpy.bincount(regions.ravel(), minlength=count + 1)
    return [i for i in range(1, count + 1) if sizes[i] < least]


def tissue(slide, rule, downsample):
    """Mask and how many level-0 pixels a cell of it measures."""
    largest = max(rule.tile * downsample / CELLS_A_TILE,
                  math.sqrt(slide.levels[0][0] * slide.levels[0][1] / MOST_CELLS))
    level = max([0] + [i for i, size in enumerate(slide.levels) if size[2] <= largest])
    side = max(1, math.floor(largest / slide.levels[level][2]))
    cell = slide.levels[level][2] * side
    values = saturation(box_means(slide.read(level), side))
    values = ndimage.median_filter(values, size=3, mode="nearest")
    threshold = max(LEAST_THRESHOLD, otsu(values)) if rule.threshold < 0 else rule.threshold
    mask = values > threshold
    unit = (rule.tile * downsample / cell) ** 2
    regions, count = ndimage.label(mask, structure=numpy.ones((3, 3)))
    mask &= ~numpy.isin(regions, small(regions, count, rule.specks * unit))
    holes, count = ndimage.label(~mask)
    edge = set(numpy.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    mask |= numpy.isin(holes, [i for i in small(holes, count, rule.holes * unit) if i not in edge])
    return mask, cell


def kept_tiles(slide, rule):
    """((x, y) of level 0, (x, y) of the level) of each tile, row by row; level, side there, mask."""
    level, shrink = scale_of(slide, rule)
    width, height, down = slide.levels[level]
    mask, cell = tissue(slide, rule, down * shrink)
    side = nearest(rule.tile * shrink)
    step = (rule.tile - rule.overlap) * shrink
    centres_x = (numpy.arange(mask.shape[1]) + 0.5) * cell
    centres_y = (numpy.arange(mask.shape[0]) + 0.5) * cell
    kept = []
    for j in range(height):
        y = nearest(j * step)
        if y + side > height:
            break
        inside_y = (centres_y >= y * down) & (centres_y < (y + side) * down)
        for i in range(width):
            x = nearest(i * step)
            if x + side > width:
                break
            inside_x = (centres_x >= x * down) & (centres_x < (x + side) * down)
            part = mask[inside_y][:, inside_x]
            if part.size and part.mean() >= rule.foreground:
                kept.append(((nearest(x * down), nearest(y * down)), (x, y)))
    return kept, level, side, mask

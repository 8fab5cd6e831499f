#!/usr/bin/env python3
"""Which tiles of a store touch a lesion, and how many of those that a model chose: for evaluation.

REGIONS is a folder of ASAP's XML files, <slide>.xml each (CAMELYON16, CAMELYON17), or a CSV of
ellipses in boxes (id, x, y, width, height in level-0 pixels: make-demo --slides). A slide without a
file or row has no lesion. The share of a tile is the area in regions over the tile's; regions of
ASAP's group _2 (CAMELYON16) or Exclusion are cut out of the others.

    python3 datasets/lesion_tiles.py STORE annotations/ --out lesion_tiles.csv
    dbps predict RUN STORE > predictions.jsonl
    python3 datasets/lesion_tiles.py STORE annotations/ --predictions predictions.jsonl

Needs numpy and h5py. Nothing of this may go into an ingest or a training.
"""

import argparse
import collections
import csv
import json
import pathlib
import sys
import xml.etree.ElementTree

import h5py
import numpy

import listing

CUT_OUT = {"_2", "Exclusion"}

# Both lists of (points, 2) arrays of level-0 pixels.
Regions = collections.namedtuple("Regions", "lesions cut_out")


def read_asap(path):
    regions = Regions([], [])
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
        for annotation in root.iter("Annotation"):
            corners = sorted(annotation.iter("Coordinate"), key=lambda c: int(c.get("Order", 0)))
            points = numpy.array([(float(c.get("X")), float(c.get("Y"))) for c in corners])
            if len(points) < 3:
                continue  # a point or a line that was left there
            cut_out = annotation.get("PartOfGroup") in CUT_OUT
            (regions.cut_out if cut_out else regions.lesions).append(points)
    except (xml.etree.ElementTree.ParseError, TypeError, ValueError) as error:
        raise listing.DataFault(f"{path} cannot be read: {error}") from error
    return regions


def ellipse(x, y, width, height, points=256):
    angle = numpy.arange(points) * (2 * numpy.pi / points)
    return numpy.stack([x + width / 2 * (1 + numpy.cos(angle)),
                        y + height / 2 * (1 + numpy.sin(angle))], axis=1)


def read_ellipses(path):
    regions = collections.defaultdict(lambda: Regions([], []))
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            try:
                box = [float(row[name]) for name in ("x", "y", "width", "height")]
                regions[row["id"]].lesions.append(ellipse(*box))
            except (KeyError, TypeError, ValueError) as error:
                raise listing.DataFault(
                    f"{path} does not hold id, x, y, width and height: {error}") from error
    return regions


def name_of(slide):
    return slide.split("/")[-1]


def read_regions(path):
    """A function from a slide's id to its regions, or None."""
    if path.is_dir():
        files = {file.stem: file for file in path.rglob("*.xml")}
        if not files:
            raise listing.DataFault(f"{path} holds no .xml")
        return lambda slide: read_asap(files[name]) if (name := name_of(slide)) in files else None
    return read_ellipses(listing.existing(path)).get


def read_tiles(store, side):
    """{id: (corners (N, 2), side of a tile)} in level-0 pixels, in the order of the store."""
    parts = collections.defaultdict(list)
    for path in sorted(listing.existing(store).glob("shard-*.h5")):
        with h5py.File(path, "r") as shard:
            size = int(shard.attrs["tile_size"])
            places = numpy.stack([shard["tiles/x"][:], shard["tiles/y"][:]], axis=1)
            bags = {name: shard[f"bags/{name}"][:] for name in
                    ("id", "part", "first_tile", "tile_count", "downsample")}
            for i, slide in enumerate(bags["id"].astype(str)):
                first, count = int(bags["first_tile"][i]), int(bags["tile_count"][i])
                parts[slide].append((int(bags["part"][i]), places[first:first + count],
                                     side or size * float(bags["downsample"][i])))
    tiles = {}
    for slide, of_slide in parts.items():
        of_slide.sort(key=lambda part: part[0])
        tiles[slide] = (numpy.concatenate([places for _, places, _ in of_slide]), of_slide[0][2])
        if tiles[slide][1] <= 0:
            raise listing.DataFault(f"{store} does not say how large tiles are: --tile does")
    if not tiles:
        raise listing.DataFault(f"{store} holds no shard")
    return tiles


def clip(points, axis, bound, sign):
    """What of a polygon lies where sign * (coordinate - bound) >= 0 (Sutherland and Hodgman)."""
    if len(points) == 0:
        return points
    depth = sign * (points[:, axis] - bound)
    before = numpy.roll(points, 1, axis=0)
    depth_before = numpy.roll(depth, 1)
    crosses = (depth >= 0) != (depth_before >= 0)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        share = numpy.where(crosses, depth_before / (depth_before - depth), 0)
    both = numpy.stack([before + share[:, None] * (points - before), points], axis=1)
    return both[numpy.stack([crosses, depth >= 0], axis=1)]


def area(points):
    if len(points) < 3:
        return 0.0
    x, y = (points - points[0]).T
    return abs(numpy.dot(x, numpy.roll(y, 1)) - numpy.dot(y, numpy.roll(x, 1))) / 2


def covered(polygon, corners, side):
    """The area of the polygon in each tile; a column of tiles after the other."""
    areas = numpy.zeros(len(corners))
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near = numpy.flatnonzero(numpy.all((corners < high) & (corners + side > low), axis=1))
    for x in numpy.unique(corners[near, 0]):
        column = clip(clip(polygon, 0, x, 1), 0, x + side, -1)
        for tile in near[corners[near, 0] == x]:
            y = corners[tile, 1]
            areas[tile] = area(clip(clip(column, 1, y, 1), 1, y + side, -1))
    return areas


def lesion_shares(regions, corners, side):
    """Of each tile, 0 to 1."""
    inside = numpy.zeros(len(corners))
    for polygon in regions.lesions:
        inside += covered(polygon, corners, side)
    for polygon in regions.cut_out:
        inside -= covered(polygon, corners, side)
    return numpy.where(inside > 1e-6, numpy.minimum(inside / side**2, 1), 0)


def write_tiles(path, tiles, shares):
    making = path.with_name(path.name + ".making")
    with making.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "index", "x", "y", "share"])
        for slide, share in shares.items():
            for index in numpy.flatnonzero(share):
                writer.writerow([slide, index, *tiles[slide][0][index], f"{share[index]:.4f}"])
    making.replace(path)


def hits_of_predictions(path, shares, top):
    """{slide: (tiles that touch a lesion, tiles looked at)} of slides with a lesion."""
    hits = {}
    for number, text in listing.lines_of(path):
        try:
            line = json.loads(text)
            chosen = [patch["index"] for patch in line.get("salient", [])[:top]]
            if line["id"] in shares:
                touching = numpy.count_nonzero(shares[line["id"]][chosen])
                hits[line["id"]] = (int(touching), len(chosen))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise listing.DataFault(f"{path}:{number}: no line of `dbps predict` for this store: "
                                    f"{error}") from error
    return hits


def print_hits(hits, top):
    for slide, (hit, looked_at) in hits.items():
        print(f"{slide}: {hit} of {looked_at}")
    hit, looked_at = (sum(column) for column in zip(*hits.values()))
    print(f"{len(hits)} slides: {hit} of their {looked_at} best tiles touch a lesion "
          f"({100 * hit / max(looked_at, 1):.1f} %, at most {top} a slide)")


def run(arguments):
    tiles = read_tiles(arguments.store, arguments.tile)
    regions_of = read_regions(arguments.regions)
    left_out = set()
    if arguments.leave_out:
        left_out = {text for _, text in listing.lines_of(arguments.leave_out)}
    shares = {}
    for slide, (corners, side) in tiles.items():
        regions = None if name_of(slide) in left_out else regions_of(slide)
        if regions and regions.lesions:
            shares[slide] = lesion_shares(regions, corners, side)
    if not shares:
        raise listing.DataFault(f"{arguments.regions} has no lesion of {arguments.store}'s slides")
    if arguments.out:
        write_tiles(arguments.out, tiles, shares)
    touching = sum(int(numpy.count_nonzero(share)) for share in shares.values())
    print(f"{len(tiles)} slides, {len(shares)} of them with lesions, which {touching} of "
          f"{sum(len(share) for share in shares.values())} tiles touch")
    if arguments.predictions:
        hits = hits_of_predictions(arguments.predictions, shares, arguments.top)
        if not hits:
            raise listing.DataFault(f"{arguments.predictions} has no slide with a lesion")
        print_hits(hits, arguments.top)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=pathlib.Path, metavar="STORE", help="of tiles or of features")
    parser.add_argument("regions", type=pathlib.Path, metavar="REGIONS")
    parser.add_argument("--out", type=pathlib.Path,
                        help="CSV of the tiles that touch a lesion: id, index, x, y, share")
    parser.add_argument("--predictions", type=pathlib.Path, help="what `dbps predict` wrote")
    parser.add_argument("--top", type=int, default=10, help="tiles a slide that count [10]")
    parser.add_argument("--leave-out", type=pathlib.Path,
                        help="file of slides, a line each, whose regions are not to be trusted")
    parser.add_argument("--tile", type=float, default=0,
                        help="side of a tile in level-0 pixels, where the store does not say")
    arguments = parser.parse_args()
    return listing.status_of("lesion_tiles", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())

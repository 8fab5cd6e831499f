#!/usr/bin/env python3
"""How well a model does on the demo's slides: AUC, and how many of its best tiles touch a lesion.

    dbps make-demo DIR --slides
    dbps train configs/demo_slides.toml --set data.store=DIR/store
    dbps predict runs/demo-slides-0 DIR/store > predictions.jsonl
    python3 datasets/demo/slide_figures.py DIR predictions.jsonl

Looks at the slides of one split. The best tiles are the first of "salient", in the order of the
scan's attention. Needs numpy and h5py. Nothing of this may go into a training.
"""

import argparse
import csv
import json
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import lesion_tiles  # noqa: E402
import listing  # noqa: E402

LESIONS = "tumor"


def read_labels(path, split):
    """{id: whether it has lesions} of a split's slides."""
    with listing.existing(path).open(newline="", encoding="utf-8") as file:
        labels = {row["id"]: row["label"] == LESIONS for row in csv.DictReader(file)
                  if row["split"] == split}
    if len(set(labels.values())) != 2:
        raise listing.DataFault(f"{path} has no slides with and without lesions of split {split}")
    return labels


def read_probabilities(path, labels):
    """{id: probability of lesions}; every slide must have one."""
    probabilities = {}
    for number, text in listing.lines_of(path):
        try:
            line = json.loads(text)
            task, = line["tasks"].values()
            probabilities[line["id"]] = task["probabilities"][LESIONS]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise listing.DataFault(
                f"{path}:{number}: no line of `dbps predict` for the demo's slides: "
                f"{error}") from error
    missing = sorted(set(labels) - set(probabilities))
    if missing:
        raise listing.DataFault(f"{path} has no line of {missing[0]} ({len(missing)} are missing)")
    return {slide: probabilities[slide] for slide in labels}


def area_under_curve(ill, well):
    """How often a slide with lesions is ranked above one without; ties count half."""
    difference = numpy.subtract.outer(numpy.asarray(ill), numpy.asarray(well))
    return float(numpy.mean((difference > 0) + (difference == 0) / 2))


def run(arguments):
    labels = read_labels(arguments.folder / "labels.csv", arguments.split)
    probabilities = read_probabilities(arguments.predictions, labels)
    tiles = lesion_tiles.read_tiles(arguments.folder / "store", 0)
    regions_of = lesion_tiles.read_regions(arguments.folder / "lesions.csv")
    shares = {slide: lesion_tiles.lesion_shares(regions_of(slide), *tiles[slide])
              for slide, ill in labels.items() if ill}
    hits = lesion_tiles.hits_of_predictions(arguments.predictions, shares, arguments.top)
    auc = area_under_curve([probabilities[s] for s, ill in labels.items() if ill],
                           [probabilities[s] for s, ill in labels.items() if not ill])
    print(f"{len(labels)} slides of split {arguments.split}: AUC {auc:.4f}")
    lesion_tiles.print_hits(hits, arguments.top)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR", help="of make-demo --slides")
    parser.add_argument("predictions", type=pathlib.Path, help="what `dbps predict` wrote")
    parser.add_argument("--split", default="test", help="train, validation or test [test]")
    parser.add_argument("--top", type=int, default=10, help="tiles a slide that count [10]")
    arguments = parser.parse_args()
    return listing.status_of("slide_figures", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())

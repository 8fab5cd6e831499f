#!/usr/bin/env python3
"""Writes labels.csv of CAMELYON16 with the official split: 270 slides train, 129 test.

ROOT holds training/normal/*.tif, training/tumor/*.tif and testing/reference.csv, which has no
header (a slide's name, Normal or Tumor, ...). Slides of the test set are taken from that file; with
--features DIR every slide must have a file of features there. No annotation of a lesion is read.
"""

import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

SLIDES = {("train", "normal"): 159, ("train", "tumor"): 111,
          ("test", "normal"): 80, ("test", "tumor"): 49}
ENDINGS = (".npy", ".safetensors", ".h5", ".hdf5")


def read_reference(path):
    rows = []
    with listing.existing(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for fields in reader:
            if not fields or not fields[0].strip():
                continue
            label = fields[1].strip().lower() if len(fields) > 1 else ""
            if label not in ("normal", "tumor"):
                raise listing.DataFault(
                    f"{path}:{reader.line_num}: '{','.join(fields)}' says neither Normal nor Tumor")
            name = pathlib.Path(fields[0].strip()).stem
            rows.append({"file": path.parent / "images" / f"{name}.tif", "label": label,
                         "split": "test"})
    return rows


def features_of(slide, folder):
    for ending in ENDINGS:
        if (folder / (slide.stem + ending)).is_file():
            return folder / (slide.stem + ending)
    raise listing.DataFault(f"{folder} has no features of {slide.stem} ({', '.join(ENDINGS)})")


def find(arguments):
    rows = []
    for label in ("normal", "tumor"):
        for slide in listing.pictures_below(arguments.root / "training" / label, "*.tif"):
            rows.append({"file": slide, "label": label, "split": "train"})
    rows += read_reference(arguments.root / "testing" / "reference.csv")
    off = listing.differences("slides", listing.count(rows, "split", "label"), SLIDES)
    if arguments.features:
        arguments.root = arguments.features
        rows = [dict(row, file=features_of(row["file"], arguments.features)) for row in rows]
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--features", type=pathlib.Path,
                        help="folder of features, a file a slide; ids and paths are then theirs")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

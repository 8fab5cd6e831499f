#!/usr/bin/env python3
"""Writes labels.csv of DDR's grading part: five grades of diabetic retinopathy.

ROOT is DR_grading: train.txt, valid.txt and test.txt (a picture's name and its grade, a line), and
the folders train, valid and test. Grade 5 means that a picture cannot be graded; those are left out
unless --with-ungradable is given.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
PICTURES = {"train": 6835, "validation": 2733, "test": 4105}
GRADES = {"0": 6266, "1": 630, "2": 4477, "3": 236, "4": 913, "5": 1151}


def find(arguments):
    rows = []
    for name, split in SPLITS.items():
        listed = arguments.root / f"{name}.txt"
        for number, line in listing.lines_of(listed):
            words = line.split()
            if len(words) != 2 or words[1] not in GRADES:
                raise listing.DataFault(f"{listed}:{number}: '{line}' is no picture with a grade")
            picture = arguments.root / name / words[0]
            if not picture.is_file():
                raise listing.DataFault(f"{listed}:{number}: {picture} is not there")
            rows.append({"file": picture, "label": words[1], "split": split})
    off = listing.differences("split", listing.count(rows, "split"), PICTURES)
    off += listing.differences("grade", listing.count(rows, "label"), GRADES)
    if not arguments.with_ungradable:
        rows = [row for row in rows if row["label"] != "5"]
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--with-ungradable", action="store_true", help="keep grade 5")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

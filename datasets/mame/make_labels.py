#!/usr/bin/env python3
"""Writes labels.csv of MAMe: 29 media of works of art.

ROOT holds MAMe_dataset.csv (or MAMe_metadata/MAMe_dataset.csv) and the pictures in data/ (or in
the folder that --pictures names). The columns 'Image file', 'Medium' and 'Subset' are read.
"""

import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

SPLITS = {"train": "train", "val": "validation", "test": "test"}
PICTURES = {"train": 20300, "validation": 1450, "test": 15657}
CLASSES = 29
A_CLASS = {"train": 700, "validation": 50}


def metadata_of(root):
    for path in (root / "MAMe_dataset.csv", root / "MAMe_metadata" / "MAMe_dataset.csv"):
        if path.is_file():
            return path
    raise listing.DataFault(f"{root} holds no MAMe_dataset.csv")


def find(arguments):
    metadata = metadata_of(arguments.root)
    home = listing.existing(arguments.pictures or arguments.root / "data")
    rows = []
    with metadata.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for column in ("Image file", "Medium", "Subset"):
            if column not in (reader.fieldnames or []):
                raise listing.DataFault(f"{metadata} has no column '{column}'")
        for row in reader:
            if row["Subset"] not in SPLITS:
                raise listing.DataFault(
                    f"{metadata}:{reader.line_num}: subset '{row['Subset']}' is not known")
            picture = home / row["Image file"]
            if not picture.is_file():
                raise listing.DataFault(f"{metadata}:{reader.line_num}: {picture} is not there")
            rows.append({"file": picture, "label": (row["Medium"] or "").strip(),
                         "split": SPLITS[row["Subset"]]})
    off = listing.differences("split", listing.count(rows, "split"), PICTURES)
    classes = listing.count(rows, "label")
    off += listing.differences("media", {"in all": len(classes)}, {"in all": CLASSES})
    found = {key: number for key, number in listing.count(rows, "split", "label").items()
             if key[0] in A_CLASS}
    off += listing.differences("pictures of", found, {
        (split, label): number for split, number in A_CLASS.items() for label in classes})
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--pictures", type=pathlib.Path, help="folder of the pictures, below ROOT")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

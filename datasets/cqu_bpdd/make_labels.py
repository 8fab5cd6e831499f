#!/usr/bin/env python3
"""Writes labels.csv of CQU-BPDD: the distressed pictures, seven classes.

ROOT holds train/<class>/ and test/<class>/ (or val/<class>/). Classes may have the names of the
paper or those that the archive uses (cementation_fissures, crack, loose, mending). Pictures of the
class `normal` are left out unless --with-normal is given: Table 1 is about which distress it is.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

TRAIN = {"alligator_crack": 424, "crack_pouring": 1000, "longitudinal_crack": 1000,
         "massive_crack": 1200, "ravelling": 477, "repair": 518, "transverse_crack": 518,
         "normal": 5000}
TOTAL = 60059
OTHER_NAMES = {"crack": "alligator_crack", "cementation_fissures": "crack_pouring",
               "loose": "ravelling", "raveling": "ravelling", "mending": "repair"}
SPLITS = {"train": "train", "test": "test", "val": "test"}


def class_of(folder):
    name = folder.name.strip().lower().replace(" ", "_").replace("-", "_")
    name = OTHER_NAMES.get(name, name)
    if name not in TRAIN:
        raise listing.DataFault(f"{folder} is none of the classes {', '.join(sorted(TRAIN))}")
    return name


def find(arguments):
    rows = []
    if (arguments.root / "test").is_dir() and (arguments.root / "val").is_dir():
        raise listing.DataFault(f"{arguments.root} holds both test and val: which is the test set?")
    for folder, split in SPLITS.items():
        home = arguments.root / folder
        if not home.is_dir():
            continue
        for picture in listing.pictures_below(home, "*/*"):
            rows.append({"file": picture, "label": class_of(picture.parent), "split": split})
    off = listing.differences("train", listing.count(
        [row for row in rows if row["split"] == "train"], "label"), TRAIN)
    off += listing.differences("pictures", {"in all": len(rows)}, {"in all": TOTAL})
    if not arguments.with_normal:
        rows = [row for row in rows if row["label"] != "normal"]
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--with-normal", action="store_true", help="keep the eighth class, normal")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

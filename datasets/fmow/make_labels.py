#!/usr/bin/env python3
"""Writes labels.csv of ten classes of fMoW-rgb.

ROOT holds train/<class>/<class>_<place>/*_rgb.jpg and val/... alike (the *_msrgb.jpg beside them
are left out). The public validation set becomes the test split, since the labels of the challenge's
test set lie elsewhere; `patient` is the place, so that pictures of one place stay in one split when
a part of train validates.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

CLASSES = 62
SPLITS = {"train": "train", "val": "test"}


def find(arguments):
    off = []
    for folder in SPLITS:
        home = listing.existing(arguments.root / folder)
        names = {path.name for path in home.iterdir() if path.is_dir()}
        missing = sorted(set(arguments.classes) - names)
        if missing:
            raise listing.DataFault(f"{home} has no class {', '.join(missing)}")
        off += listing.differences(folder, {"classes": len(names)}, {"classes": CLASSES})
    off += listing.differences("named", {"classes": len(set(arguments.classes))}, {"classes": 10})
    rows = []
    for folder, split in SPLITS.items():
        for name in sorted(set(arguments.classes)):
            for picture in listing.pictures_below(arguments.root / folder / name, "*/*_rgb.jpg"):
                rows.append({"file": picture, "label": name, "split": split,
                             "patient": f"{folder}/{picture.parent.name}"})
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--classes", nargs="+", required=True, metavar="CLASS",
                        help="the ten classes; the paper does not name them")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes labels.csv of the speed limits in the Swedish Traffic Signs data set: four classes.

ROOT holds Set1 and Set2, each with annotations.txt and its pictures (in the set's folder or in
Set1Part0 / Set2Part0 below it). Set1 trains, Set2 tests. A picture's class is that of the first
visible sign of 50, 70 or 80; a picture without any annotated sign is `none`; all others (other
signs only, or a limit that is blurred, occluded or at the side) are left out, as Katharopoulos &
Fleuret (2019) do.
"""

import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

SPLITS = {"Set1": "train", "Set2": "test"}
PICTURES = {"train": 747, "test": 684}
ANNOTATIONS_MD5 = {"Set1": "9106a905a86209c95dc9b51d12f520d6",
                   "Set2": "09debbc67f6cd89c1e2a2688ad1d03ca"}
LIMITS = {"50_SIGN": "50", "70_SIGN": "70", "80_SIGN": "80"}


def signs_of(text, where):
    """(visibility, name) of each sign of a line; MISC_SIGNS say nothing and are no sign."""
    signs = []
    for entry in text.split(";"):
        fields = [field.strip() for field in entry.split(",")]
        if fields[0] in ("", "MISC_SIGNS"):
            continue
        if len(fields) != 7:
            raise listing.DataFault(f"{where}: '{entry.strip()}' is no sign of seven fields")
        signs.append((fields[0], fields[6]))
    return signs


def label_of(signs):
    if not signs:
        return "none"
    for visibility, name in signs:
        if visibility == "VISIBLE" and name in LIMITS:
            return LIMITS[name]
    return None


def picture_of(home, name):
    for place in (home / name, home / f"{home.name}Part0" / name):
        if place.is_file():
            return place
    raise listing.DataFault(f"{home} has no picture {name}")


def find(arguments):
    rows, off = [], []
    for folder, split in SPLITS.items():
        home = listing.existing(arguments.root / folder)
        annotations = home / "annotations.txt"
        for number, line in listing.lines_of(annotations):
            name, colon, text = line.partition(":")
            if not colon:
                raise listing.DataFault(f"{annotations}:{number}: '{line}' names no picture")
            label = label_of(signs_of(text, f"{annotations}:{number}"))
            if label is not None:
                rows.append({"file": picture_of(home, name.strip()), "label": label,
                             "split": split})
        if hashlib.md5(annotations.read_bytes()).hexdigest() != ANNOTATIONS_MD5[folder]:
            off.append(f"{annotations} is not the published file (by its MD5)")
    off += listing.differences("split", listing.count(rows, "split"), PICTURES)
    return rows, off


def main():
    return listing.run(listing.parser(__doc__).parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

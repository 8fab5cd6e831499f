#!/usr/bin/env python3
"""Writes labels.csv of CAMELYON16 with the official split: 270 slides train, 129 test.

ROOT holds training/normal/*.tif, training/tumor/*.tif, testing/images/*.tif and
testing/reference.csv; or all slides in images/, as on AWS. The slides of the test set are those of
reference.csv, which has no header (a slide's name, Normal or Tumor, ...). With --features DIR the
CSV names files of features instead, one a slide, and of ROOT only reference.csv is read. A slide's
id is its name. No annotation of a lesion is read.
"""

import csv
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import listing  # noqa: E402

SLIDES = {("train", "normal"): 159, ("train", "tumor"): 111,
          ("test", "normal"): 80, ("test", "tumor"): 49}
# What was taken out of the data set after the challenge, by its own README.
WITHDRAWN = {"normal_086": "it is tumor_111", "test_049": "it shows another slide again"}
FEATURES = (".npy", ".safetensors", ".h5", ".hdf5", ".pt")
TRAINING = re.compile(r"(normal|tumor)_\d+")


def read_reference(path):
    """{slide: label} of the test set."""
    labels = {}
    with listing.existing(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for fields in reader:
            if not fields or not fields[0].strip():
                continue
            label = fields[1].strip().lower() if len(fields) > 1 else ""
            if label not in ("normal", "tumor"):
                raise listing.DataFault(
                    f"{path}:{reader.line_num}: '{','.join(fields)}' says neither Normal nor Tumor")
            labels[pathlib.Path(fields[0].strip()).stem] = label
    return labels


def find_reference(root):
    for place in ("testing/reference.csv", "evaluation/reference.csv"):
        if (root / place).is_file():
            return root / place
    return root / "reference.csv"


def files_of(folders, endings):
    """{slide: its file}; a slide in two files is a fault."""
    files = {}
    for path in sorted(path for folder in folders for path in folder.glob("*")):
        if path.suffix.lower() not in endings:
            continue
        if path.stem in files:
            raise listing.DataFault(f"{files[path.stem]} and {path} are one slide")
        files[path.stem] = path
    return files


def find_files(arguments):
    if arguments.features:
        arguments.root = listing.existing(arguments.features)
        return files_of([arguments.features], FEATURES)
    places = [arguments.root / place for place in
              ("training/normal", "training/tumor", "testing/images", "images")]
    return files_of([place for place in places if place.is_dir()], (".tif",))


def find(arguments):
    reference = arguments.reference or find_reference(arguments.root)
    test = read_reference(reference)
    files = find_files(arguments)
    rows = []
    for slide, path in files.items():
        training = TRAINING.fullmatch(slide)
        if training:
            rows.append({"id": slide, "file": path, "label": training[1], "split": "train"})
        elif slide in test:
            rows.append({"id": slide, "file": path, "label": test[slide], "split": "test"})
    off = listing.differences("slides", listing.count(rows, "split", "label"), SLIDES)
    off += [f"{slide} was withdrawn: {why}" for slide, why in WITHDRAWN.items()
            if any(row["id"] == slide for row in rows)]
    missing = sorted(set(test) - set(files))
    if missing:
        off.append(f"of {reference.name}, {missing[0]} is not there"
                   + (f", nor are {len(missing) - 1} more" if len(missing) > 1 else ""))
    return rows, off


def main():
    parser = listing.parser(__doc__)
    parser.add_argument("--features", type=pathlib.Path,
                        help="folder of features, a file a slide, in place of the slides")
    parser.add_argument("--reference", type=pathlib.Path,
                        help="reference.csv, where it is not in testing/, evaluation/ or ROOT")
    return listing.run(parser.parse_args(), find)


if __name__ == "__main__":
    sys.exit(main())

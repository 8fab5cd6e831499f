"""What the scripts beside it share: finding pictures, checking counts, writing labels.csv.

The CSV has the columns id, path (from the CSV's folder), label, split and, where it has a meaning,
patient: `dbps ingest labels.csv STORE` reads it. Only Python's standard library.
"""

import argparse
import collections
import csv
import os
import pathlib
import sys

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


class DataFault(Exception):
    """The data are not what they should be; one line that says so."""


def pictures_below(folder, pattern="**/*"):
    """Pictures in order; a folder without one is a fault."""
    if not folder.is_dir():
        raise DataFault(f"{folder} is no folder")
    found = sorted(path for path in folder.glob(pattern)
                   if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise DataFault(f"{folder} holds no picture")
    return found


def existing(path):
    """The file or folder, which must be there."""
    if not path.exists():
        raise DataFault(f"{path} is not there")
    return path


def lines_of(path):
    """(number, text) of the lines of a text file that are not blank."""
    try:
        text = existing(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFault(f"{path} cannot be read: {error}") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)
            if line.strip()]


def count(rows, *columns):
    """How often each value, or combination of values, of columns occurs."""
    if len(columns) == 1:
        return collections.Counter(row[columns[0]] for row in rows)
    return collections.Counter(tuple(row[column] for column in columns) for row in rows)


def differences(what, found, expected):
    """What is off, in words: every key of either side whose counts differ."""
    said = []
    for key in sorted(set(found) | set(expected), key=str):
        if found.get(key, 0) != expected.get(key, 0):
            name = " ".join(key) if isinstance(key, tuple) else key
            said.append(f"{what} {name}: {found.get(key, 0)}, not {expected.get(key, 0)}")
    return said


def parser(description):
    """Arguments that all scripts have."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("root", type=pathlib.Path, help="folder of the unpacked data set")
    arguments.add_argument("--out", type=pathlib.Path,
                           help="the CSV to write (default: labels.csv in the folder)")
    arguments.add_argument("--any-count", action="store_true",
                           help="write it also when the counts are not the published ones")
    return arguments


def write(path, root, rows):
    """labels.csv, whole or not at all. Rows are dicts with `file` in place of path and, where they
    have no `id`, of the id."""
    columns = [name for name in ("label", "split", "patient") if name in rows[0]]
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(path.name + ".making")
    with making.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "path", *columns])
        for row in rows:
            name = row.get("id") or row["file"].relative_to(root).with_suffix("").as_posix()
            place = pathlib.Path(os.path.relpath(row["file"], path.parent)).as_posix()
            writer.writerow([name, place, *(row[column] for column in columns)])
    making.replace(path)


def status_of(name, work):
    """Exit status of work(): 0, or 65 with one line."""
    try:
        work()
    except (DataFault, OSError, KeyError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 65
    return 0


def run(arguments, find):
    """find(arguments) gives (rows, what is off). Exit status: 0, or 65 with one line."""
    try:
        rows, off = find(arguments)
        if not rows:
            raise DataFault(f"{arguments.root} holds nothing that is labelled")
        if off and not arguments.any_count:
            raise DataFault("; ".join(off) + " (--any-count takes the data as they are)")
        out = arguments.out or arguments.root / "labels.csv"
        write(out, arguments.root, rows)
    except (DataFault, OSError) as error:
        print(f"{pathlib.Path(sys.argv[0]).parent.name}: {error}", file=sys.stderr)
        return 65
    for line in off:
        print(f"warning: {line}", file=sys.stderr)
    splits = sorted(count(rows, "split").items())
    print(f"{out}: {len(rows)} rows (" + ", ".join(f"{number} {name}" for name, number in splits) +
          f"), {len(count(rows, 'label'))} classes")
    return 0

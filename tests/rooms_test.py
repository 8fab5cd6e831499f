"""Holds the includes of src/ and launcher/ against the table of who may include whom.

Run it alone, or by ctest. It also checks itself on lines that must be refused.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERY_ROOM = {
    "base", "image", "store", "ingest", "data", "distributed", "model", "selection",
    "optimization", "checkpoint", "report", "config", "training", "bench",
}

# A room may include itself, and: rooms, or single headers of rooms.
MAY_INCLUDE = {
    "base": set(),
    "image": {"base"},
    "store": {"base"},
    "ingest": {"base", "image", "store"},
    "data": {"base", "image", "store"},
    "distributed": {"base"},
    "model": {"base"},
    "selection": {"base", "model", "distributed/collectives.h"},
    "optimization": {"base"},
    "checkpoint": {"base", "distributed", "model"},
    "report": {"base", "image"},
    "config": {"base"} | {f"{room}/options.h" for room in EVERY_ROOM},
    "training": EVERY_ROOM - {"ingest", "bench"},
    "bench": EVERY_ROOM - {"ingest"},
    "launcher": EVERY_ROOM | {"launcher"},
}

# Libraries that one room alone names. The launcher's doctor asks each for its version.
OWNED = {
    r"(mpi|nccl)\.h": {"distributed"},
    r"(hdf5|H5.*)\.h": {"store"},
    r"(jpeglib|turbojpeg|png|tiffio|openslide/.*)\.h": {"image"},
    r"toml\+\+/.*": {"config"},
    r"spdlog/.*": {"base"},
}
DOCTOR = "launcher/verbs/doctor.cpp"

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def refusal(room, path, line):
    """Why a file of `room` may not hold this line, or None."""
    match = INCLUDE.match(line)
    if not match:
        return None
    ours, theirs = match.groups()
    if ours:
        other = ours.split("/")[0]
        allowed = MAY_INCLUDE[room]
        if other == room or other in allowed or ours in allowed:
            return None
        return f"{room} may not include {ours}"
    for pattern, rooms in OWNED.items():
        if re.fullmatch(pattern, theirs) and room not in rooms and path != DOCTOR:
            return f"only {', '.join(sorted(rooms))} may include <{theirs}>"
    if theirs.split("/")[0] in EVERY_ROOM and (ROOT / "src" / theirs).exists():
        return f'our own header <{theirs}> is included as "{theirs}"'
    return None


def check_itself():
    must_refuse = [
        ("base", '#include "store/format.h"'),
        ("config", '#include "data/loader.h"'),
        ("selection", '#include "distributed/world.h"'),
        ("training", '#include "ingest/ingest.h"'),
        ("training", '#include "bench/harness.h"'),
        ("bench", '#include "ingest/ingest.h"'),
        ("data", "#include <hdf5.h>"),
        ("training", "  #  include <mpi.h>"),
        ("model", '#include "no_such_room/a.h"'),
    ]
    must_pass = [
        ("config", '#include "data/options.h"'),
        ("selection", '#include "distributed/collectives.h"'),
        ("store", "#include <hdf5.h>"),
        ("launcher", '#include "ingest/ingest.h"'),
        ("base", "#include <vector>"),
    ]
    for room, line in must_refuse:
        assert refusal(room, "", line), f"{room}: {line} passed"
    for room, line in must_pass:
        assert not refusal(room, "", line), f"{room}: {line} was refused"


def sources():
    for top in ("src", "launcher"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cpp", ".cu", ".cuh"):
                yield path


def main():
    check_itself()
    files, faults = 0, []
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        parts = name.split("/")
        room = parts[1] if parts[0] == "src" else "launcher"
        if room not in MAY_INCLUDE:
            faults.append(f"{name}: the table knows no room {room}")
            continue
        files += 1
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fault = refusal(room, name, line)
            if fault:
                faults.append(f"{name}:{number}: {fault}")
    print("\n".join(faults) or f"{files} files keep to the table")
    if files == 0:
        faults.append("no files were found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

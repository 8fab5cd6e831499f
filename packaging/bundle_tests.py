"""The tests of a bundle: bundle_tests.py SOURCE BUILD BUNDLE LABEL

Writes BUNDLE/share/dbps/tests with what ctest needs to run, wherever the bundle lies, every test of
BUILD with a label like LABEL (a regular expression; ".": all) that starts a built program; prints
the programs, relative to BUILD. A test that needs the sources or the build folder stays behind,
and is named.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = "${root}"  # in CTestTestfile.cmake: the bundle, wherever it lies

START_PROGRAM = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export DBPS_TEST_DATA="${{DBPS_TEST_DATA:-$here/../../../share/dbps/tests}}"
exec "$here/../with-libtorch" "$here/bin/{name}" "$@"
"""


def tests_of(build, label):
    command = ["ctest", "--test-dir", build, "--show-only=json-v1"]
    if label != ".":
        command += ["-L", label]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(shown.stdout)["tests"]


class Mapper:
    """Paths of this machine into paths of the bundle."""

    def __init__(self, source, build):
        self.source, self.build = source, build
        self.programs = set()
        self.fixed = {
            f"{build}/dbps": f"{ROOT}/bin/dbps",
            f"{source}/launcher/mpirun": f"{ROOT}/bin/dbps-mpirun",
        }

    def word(self, word):
        """One word of a command, or NAME=VALUE of an environment."""
        name, equals, value = word.partition("=")
        if equals and "/" not in name:
            return f"{name}={self.word(value)}"
        if word in self.fixed:
            return self.fixed[word]
        path = pathlib.Path(word)
        if word.startswith(self.build + "/tests/") and path.is_file() and os.access(path, os.X_OK):
            self.programs.add(str(path.relative_to(self.build)))
            return f"{ROOT}/libexec/dbps/tests/{path.name}"
        if path.is_absolute() and path.name.startswith("python3"):
            return "python3"
        if path.is_absolute() and path.name in ("mpirun", "mpiexec"):
            return f"{ROOT}/openmpi/bin/mpirun"
        return word.replace(f"{self.source}/tests", f"{ROOT}/share/dbps/tests")


def quoted(word):
    return "[==[" + word + "]==]" if ROOT not in word else '"' + word.replace('"', '\\"') + '"'


def line_of(test, mapper):
    """The test's lines of CTestTestfile.cmake, or None where it cannot run without the sources."""
    command = [mapper.word(word) for word in test.get("command", [])]
    properties = []
    for entry in test.get("properties", []):
        if entry["name"] == "WORKING_DIRECTORY":
            continue
        values = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
        text = ";".join(mapper.word(str(value)) for value in values)
        properties.append(f"{entry['name']} {quoted(text)}")
    lines = f"add_test({quoted(test['name'])} {' '.join(map(quoted, command))})\n"
    if properties:
        lines += f"set_tests_properties({quoted(test['name'])} PROPERTIES {' '.join(properties)})\n"
    starts_program = f"{ROOT}/bin/dbps" in lines or f"{ROOT}/libexec/dbps/tests/" in lines
    carried = mapper.source not in lines and mapper.build not in lines
    return lines if starts_program and carried else None


def copy_data(source, folder):
    """The test scripts and the data that tests read: all but their C++."""
    shutil.copytree(pathlib.Path(source) / "tests", folder, ignore=shutil.ignore_patterns(
        "*.cpp", "*.h", "CMakeLists.txt", "make_golden.py", "__pycache__"))


def main(source, build, bundle, label):
    mapper = Mapper(source, build)
    folder = pathlib.Path(bundle) / "share/dbps/tests"
    copy_data(source, folder)
    lines, behind = [], []
    for test in tests_of(build, label):
        line = line_of(test, mapper)
        if line:
            lines.append(line)
        else:
            behind.append(test["name"])
    # ctest tells its files no folder, but reads them there.
    find_root = ("execute_process(COMMAND readlink -f ../../.. OUTPUT_VARIABLE root "
                 "OUTPUT_STRIP_TRAILING_WHITESPACE)\n")
    (folder / "CTestTestfile.cmake").write_text(find_root + "".join(lines))
    starters = pathlib.Path(bundle) / "libexec/dbps/tests"
    (starters / "bin").mkdir(parents=True)
    for program in sorted(mapper.programs):
        starter = starters / pathlib.Path(program).name
        starter.write_text(START_PROGRAM.format(name=starter.name))
        starter.chmod(0o755)
        print(program)
    if behind:
        print("tests that stay behind (not built, or in need of the sources):", ", ".join(behind),
              file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])

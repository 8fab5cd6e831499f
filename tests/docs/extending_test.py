"""The whole files of docs/extending.md compile beside their room: extending_test.py BUILD_FOLDER"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv.pop())


def examples():
    """{path of the new file: its text}, as the page names it before its block of code."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    return dict(re.findall(r"`(src/\w+/\w+\.cpp)`:\n\n```cpp\n(.*?)```", page, re.S))


def compiler_of(room):
    """The command that compiles the room's registry.cpp, without its file and its output."""
    commands = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    source = str(ROOT / "src" / room / "registry.cpp")
    (entry,) = [each for each in commands if each["file"] == source]
    words = shlex.split(entry["command"])
    return words[:words.index("-o")], entry["directory"]


class Extending(unittest.TestCase):
    def test_there_are_three(self):
        self.assertEqual(list(examples()), ["src/selection/spread.cpp", "src/model/pair.cpp",
                                            "src/model/max.cpp"])

    def test_they_compile_with_their_rooms_flags(self):
        for path, text in examples().items():
            with self.subTest(path):
                command, folder = compiler_of(pathlib.Path(path).parts[1])
                done = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], input=text,
                                      cwd=folder, text=True, capture_output=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()

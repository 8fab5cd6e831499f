"""What the `dbps` command answers before any verb does work: exit codes, and one line on a fault."""

import json
import re
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)


# Each start loads LibTorch, a second or more: as few as say something.
def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Command(unittest.TestCase):
    def refused(self, *arguments):
        code, out, err = run(*arguments)
        self.assertEqual(code, 64, err)
        self.assertEqual(out, "")
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        return err

    def test_help_names_every_verb(self):
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        for verb in ("ingest", "inspect", "verify", "split", "make-demo", "train", "eval",
                     "predict", "checkpoints", "report", "export", "bench", "doctor",
                     "completion"):
            self.assertIn(verb, out)

    def test_version(self):
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^dbps \d+\.\d+\.\d+")

    def test_wrong_commands(self):
        self.assertIn("did you mean train?", self.refused("trian"))
        self.assertIn("dbps doctor --help", self.refused("doctor", "--no-such-option"))

    def test_bench(self):
        self.assertIn("did you mean read?", self.refused("bench", "raed"))
        code, out, err = run("bench", "read", "--json", "--megabytes", "2", "--rounds", "1",
                             "--seconds", "0.001", "--threads", "1")
        self.assertEqual(code, 0, err)
        found = json.loads(out)
        self.assertEqual(found["machine"]["threads"], 1)
        self.assertEqual(found["benchmarks"][0]["comparisons"][0]["name"], "warm, 1 thread")

    def test_doctor(self):
        code, out, _ = run("doctor", "--json")
        self.assertEqual(code, 0)
        found = json.loads(out)
        for name in ("dbps", "libtorch", "gpus", "nccl", "mpi", "hdf5", "cores", "memory"):
            if name == "gpus" and "gpu 0" in found:
                continue
            self.assertTrue(found[name]["value"], name)

    def test_doctor_lists_what_is_to_come(self):
        code, out, _ = run("doctor", "--unsupported")
        self.assertEqual(code, 0)
        self.assertIn("data.bag", out.splitlines())
        self.assertIn('task.kind = "regression"', out.splitlines())


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        code, cls.script, _ = run("completion", "bash")
        assert code == 0

    def complete(self, *words):
        """What bash offers for the last of the words."""
        done = subprocess.run(
            ["bash", "-c", self.script + """
             COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _dbps; printf '%s\\n' "${COMPREPLY[@]}" """,
             "bash", "dbps", *words], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_verbs(self):
        self.assertEqual(self.complete("tr"), ["train"])
        self.assertIn("make-demo", self.complete(""))
        self.assertEqual(self.complete("-v", "tr"), ["train"])

    def test_every_option_that_help_names(self):
        offered = self.complete("train", "--")
        named = re.findall(r"^  (?:-\w,)?(--[\w-]+)", run("train", "--help")[1], re.MULTILINE)
        self.assertGreater(len(named), 5)
        self.assertEqual(set(named) - set(offered), set())
        self.assertIn("--json", offered)
        self.assertNotIn("--codec", offered)

    def test_choices_and_files(self):
        self.assertEqual(self.complete("ingest", "--codec", "j"), ["jpeg"])
        self.assertEqual(self.complete("completion", ""), ["bash", "zsh"])
        self.assertEqual(self.complete("train", "--set", ""), [])  # bash goes on with files
        self.assertEqual(self.complete("train", ""), [])


if __name__ == "__main__":
    unittest.main()

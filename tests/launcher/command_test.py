"""What the `dbps` command answers before any verb does work: exit codes, and one line on a fault."""

import json
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
        for verb in ("ingest", "inspect", "verify", "split", "make-demo", "train", "eval", "checkpoints",
                     "predict", "report", "export", "doctor"):
            self.assertIn(verb, out)

    def test_version(self):
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^dbps \d+\.\d+\.\d+")

    def test_wrong_commands(self):
        self.assertIn("did you mean train?", self.refused("trian"))
        self.assertIn("dbps doctor --help", self.refused("doctor", "--no-such-option"))

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
        self.assertIn("distributed.patch_group", out.splitlines())
        self.assertIn('training.precision = "bf16"', out.splitlines())


if __name__ == "__main__":
    unittest.main()

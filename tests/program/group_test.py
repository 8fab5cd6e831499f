"""distributed.patch_group: ranks that share each slide or picture, by the whole program."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import harness
from harness import events, run, start
from tiles_test import TileStoreTest

# Sums over ranks are taken in another order; the numbers are fp64, so that they stay together.
EXACT = ("--set", "training.precision=fp64", "--set", "training.scan_precision=fp64")


class SameRuns:
    """What a test case of the whole program needs to compare runs of other groups."""

    def numbers(self, name):
        """What metrics.jsonl says of steps and evaluations, times aside, as one list a line."""
        def flat(value):
            if isinstance(value, dict):
                return [x for key in sorted(value) for x in [key, *flat(value[key])]]
            if isinstance(value, list):
                return [x for entry in value for x in flat(entry)]
            return [value]
        return [flat(event) for event in events(self.work / name) if event["event"] in
                ("step", "evaluation")]

    def assert_same_run(self, one, other):
        ours, theirs = self.numbers(one), self.numbers(other)
        self.assertEqual(len(ours), len(theirs))
        for a, b in zip(ours, theirs):
            self.assertEqual(len(a), len(b))
            for x, y in zip(a, b):
                if isinstance(x, float):
                    self.assertAlmostEqual(x, y, delta=1e-7 * max(1.0, abs(x)))
                else:
                    self.assertEqual(x, y)


class GroupTest(SameRuns, TileStoreTest):
    tiles = dict(parts=3, lesions=0.25, least=1)

    def test_groups_change_neither_plan_nor_metrics(self):
        self.train("one", *EXACT)
        self.train("four", *EXACT, "--set", "distributed.patch_group=4", ranks=4)
        self.train("two", *EXACT, "--set", "distributed.patch_group=2", ranks=4)
        self.assert_same_run("one", "four")
        self.assert_same_run("one", "two")
        results = []
        for ranks, words in ((0, ()), (2, ("--set", "distributed.patch_group=2"))):
            result = run("eval", self.work / "four", "--json", *words, ranks=ranks)
            self.assertEqual(result.code, 0, result.err)
            results.append(json.loads(result.out))
        self.assertAlmostEqual(results[0]["loss"], results[1]["loss"], places=7)
        self.assertEqual(results[0]["tasks"], results[1]["tasks"])

    def test_pictures_are_shared_as_slides_are(self):
        store = self.work / "demo"
        made = run("make-demo", store, "--seed", 3, "--canvas", 128, "--train", 16, "--validation",
                   4, "--test", 4, "--digits", 4, 5, "--distractors", 4, 6)
        self.assertEqual(made.code, 0, made.err)
        self.config.write_text(harness.SMALL_RUN.format(store=store / "store"))
        self.train("one", *EXACT)
        self.train("two", *EXACT, "--set", "distributed.patch_group=2", ranks=2)
        self.assert_same_run("one", "two")

    def test_goes_on_after_a_signal_with_groups_of_another_size(self):
        whole = ("--set", "training.epochs=6", *EXACT)
        self.train("whole", *whole)
        process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                        "experiment.name=part", *whole, "--set", "distributed.patch_group=2",
                        ranks=2)
        metrics = self.work / "part" / "metrics.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and not (metrics.exists() and metrics.stat().st_size > 0):
            time.sleep(0.01)
        # To one rank alone, which must not leave its group waiting.
        ranks = subprocess.run(["pgrep", "-f", f"experiment.output={self.work} "],
                               capture_output=True, text=True).stdout.split()
        for rank in ranks:
            words = pathlib.Path(f"/proc/{rank}/cmdline").read_bytes().split(b"\0")
            if words[0] == harness.PROGRAM.encode():
                os.kill(int(rank), signal.SIGUSR1)
                break
        else:
            self.fail("no rank was found")
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75, err)
        steps = len([e for e in events(self.work / "part") if e["event"] == "step"])
        self.assertLess(steps, 18)
        self.train("part", *whole)
        self.assert_same_run("whole", "part")

    def test_what_does_not_go_together_is_refused(self):
        refused = self.train("refused", "--set", "distributed.patch_group=2", "--set",
                             "selection.ranking=upstream", ranks=2, code=64)
        self.assertIn("distributed.patch_group", refused.err)
        self.assertIn('selection.ranking = "global"', refused.err)
        refused = self.train("refused", "--set", "distributed.patch_group=3", ranks=2, code=64)
        self.assertIn("distributed.patch_group = 3 does not divide the 2 ranks", refused.err)


if __name__ == "__main__":
    unittest.main()

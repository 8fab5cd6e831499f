"""Training as a whole: ranks, stopping, going on."""

import os
import random
import signal
import time
import unittest

from harness import ProgramTest, events, latest_weights, start


class MicroBatches(ProgramTest):
    def test_one_rank_with_two_equals_two_ranks_with_one_each(self):
        self.assert_done(self.train("one"))
        self.assert_done(self.train("two", ranks=2))
        self.assertEqual(events(self.work / "one"), events(self.work / "two"))
        self.assertEqual(latest_weights(self.work / "one"), latest_weights(self.work / "two"))

    def test_too_few_for_the_ranks_is_refused(self):
        result = self.train("few", "--set", "training.micro_batches=1", ranks=2)
        self.assertEqual(result.code, 64, result.err)
        self.assertIn("training.micro_batches", result.err)


class Stopping(ProgramTest):
    """A run stopped at any step of an epoch goes on to the same bits."""

    def stop_after(self, name, steps, ranks):
        process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                        f"experiment.name={name}", ranks=ranks)
        metrics = self.work / name / "metrics.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if metrics.exists() and metrics.read_text().count('"event":"step"') >= steps:
                os.kill(process.pid, signal.SIGUSR1)
                break
            time.sleep(0.002)
        _, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 75), err)
        return process.returncode

    def check(self, ranks):
        self.assert_done(self.train("whole", ranks=ranks))
        stopped = 0
        for steps in (1, 2, 4):
            name = f"stopped-{steps}"
            stopped += self.stop_after(name, steps, ranks) == 75
            self.assert_done(self.train(name, ranks=ranks))
            self.assertEqual(events(self.work / "whole"), [
                e for e in events(self.work / name) if e["event"] != "checkpoint" or e["step"] % 3 == 0
            ])
            self.assertEqual(latest_weights(self.work / "whole"), latest_weights(self.work / name))
        self.assertGreater(stopped, 0, "no run was stopped in time: the test shows nothing")

    def test_one_rank(self):
        self.check(ranks=0)

    def test_two_ranks(self):
        self.check(ranks=2)

    def test_saved_at_every_step_and_killed(self):
        self.assert_done(self.train("whole"))
        randomness = random.Random(5)
        process = None
        for _ in range(4):
            process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                            "experiment.name=killed", "--set", "checkpoint.every_steps=1")
            time.sleep(randomness.uniform(0.5, 2.5))
            process.kill()
            process.communicate()
        self.assert_done(self.train("killed", "--set", "checkpoint.every_steps=1"))
        steps = [e for e in events(self.work / "killed") if e["event"] == "step"]
        self.assertEqual(steps, [e for e in events(self.work / "whole") if e["event"] == "step"])
        self.assertEqual(latest_weights(self.work / "whole"), latest_weights(self.work / "killed"))

    def test_a_finished_run_says_so_and_fresh_starts_another(self):
        self.assert_done(self.train("done"))
        again = self.train("done")
        self.assert_done(again)
        self.assertIn("finished", again.err)
        self.assert_done(self.train("done", "--fresh"))
        self.assertEqual(latest_weights(self.work / "done"), latest_weights(self.work / "done-2"))

    def test_another_configuration_is_refused_with_the_difference(self):
        self.assert_done(self.train("mine", "--set", "training.epochs=1"))
        result = self.train("mine", "--set", "optimizer.learning_rate=5e-3")
        self.assertEqual(result.code, 64)
        self.assertIn("optimizer.learning_rate", result.err)


if __name__ == "__main__":
    unittest.main()

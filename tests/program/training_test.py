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

    def without_checkpoints(self, name):
        """A stop saves where the unbroken run did not."""
        return [e for e in events(self.work / name) if e["event"] != "checkpoint"]

    def check(self, ranks):
        self.assert_done(self.train("whole", ranks=ranks))
        stopped = 0
        for steps in (3, 4, 5):  # after the first epoch's end, and after two steps of the second
            name = f"stopped-{steps}"
            stopped += self.stop_after(name, steps, ranks) == 75
            self.assert_done(self.train(name, ranks=ranks))
            self.assertEqual(self.without_checkpoints("whole"), self.without_checkpoints(name))
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

    def test_more_epochs_need_to_be_accepted_and_then_train(self):
        self.assert_done(self.train("more", "--set", "training.epochs=1"))
        refused = self.train("more", "--set", "training.epochs=2")
        self.assertEqual(refused.code, 64)
        self.assertIn("training.epochs", refused.err)
        accepted = self.train("more", "--set", "training.epochs=2", "--accept", "training.epochs")
        self.assert_done(accepted)
        self.assertIn("schedule changes", accepted.err)
        steps = [e["step"] for e in events(self.work / "more") if e["event"] == "step"]
        self.assertEqual(steps, [1, 2, 3, 4, 5, 6])
        fewer = self.train("more", "--set", "training.epochs=1", "--accept", "training.epochs")
        self.assertEqual(fewer.code, 64)

    def test_going_on_from_an_older_checkpoint_leaves_one_timeline(self):
        whole = ("--set", "checkpoint.every_steps=1", "--set", "checkpoint.keep=9")
        self.assert_done(self.train("back", *whole))
        weights = latest_weights(self.work / "back")
        older = self.work / "back" / "checkpoints" / "step-00000004"
        self.assert_done(self.train("back", *whole, "--resume", older))
        self.assertEqual(latest_weights(self.work / "back"), weights)
        steps = [e["step"] for e in events(self.work / "back") if e["event"] == "step"]
        self.assertEqual(steps, list(range(1, 10)))

    def test_early_stopping_is_remembered(self):
        stop = ("--set", "training.epochs=9", "--set", "validation.patience_epochs=1", "--set",
                "optimizer.learning_rate=1e-12")
        self.assert_done(self.train("early", *stop))
        steps = len([e for e in events(self.work / "early") if e["event"] == "step"])
        self.assertLess(steps, 27)
        again = self.train("early", *stop)
        self.assert_done(again)
        self.assertIn("finished", again.err)
        self.assertEqual(len([e for e in events(self.work / "early") if e["event"] == "step"]), steps)

    def test_a_second_writer_is_refused_and_touches_nothing(self):
        process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                        "experiment.name=held", "--set", "training.epochs=200")
        lock = self.work / "held" / "metrics.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and not (lock.exists() and lock.stat().st_size > 0):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGSTOP)  # it would tidy up itself
        unfinished = self.work / "held" / "checkpoints" / "step-99999999.tmp"
        unfinished.mkdir(parents=True)
        second = self.train("held", "--set", "training.epochs=200")
        self.assertEqual(second.code, 64, second.err)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        self.assertTrue(unfinished.exists())

    def test_another_configuration_is_refused_with_the_difference(self):
        self.assert_done(self.train("mine", "--set", "training.epochs=1"))
        result = self.train("mine", "--set", "optimizer.learning_rate=5e-3")
        self.assertEqual(result.code, 64)
        self.assertIn("optimizer.learning_rate", result.err)


if __name__ == "__main__":
    unittest.main()

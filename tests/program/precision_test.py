"""What a run computes in, and where: the CPU, and a GPU where there is one."""

import json
import math
import unittest

from harness import ProgramTest, events, latest_weights, run

WITHIN = 0.01  # of the boundary's score: patches nearer than that may change places
SAME_PATCHES = 0.9


def has_gpu():
    found = json.loads(run("doctor", "--json").out)
    return not found["gpus"]["value"].startswith("none")


def losses(folder):
    return [e["loss"] for e in events(folder) if e["event"] == "step"]


class Precision(ProgramTest):
    """bf16 beside fp32 on the CPU."""

    device = "cpu"

    def on_device(self, *settings):
        return [word for setting in (f"distributed.device={self.device}", *settings)
                for word in ("--set", setting)]

    def trained(self):
        """A run's folder, trained for long enough that scores mean something."""
        done = self.train("trained", *self.on_device("training.epochs=12"))
        self.assert_done(done)
        return self.work / "trained"

    def selected(self, folder, *settings):
        done = run("predict", folder, self.store, *self.on_device(*settings))
        self.assertEqual(done.code, 0, done.err)
        return [json.loads(line) for line in done.out.splitlines()]

    def test_a_scan_in_bf16_selects_the_same_patches(self):
        folder = self.trained()
        exact = self.selected(folder)
        rounded = self.selected(folder, "training.scan_precision=bf16")
        self.assertEqual(len(exact), 48)
        shares = []
        for ours, theirs in zip(rounded, exact):
            scores = {p["index"]: p["score"] for p in theirs["salient"] + theirs["sub_salient"]}
            wanted = {p["index"] for p in theirs["salient"]}
            found = {p["index"] for p in ours["salient"]}
            shares.append(len(wanted & found) / len(wanted))
            boundary = min(scores[i] for i in wanted)
            for index in wanted ^ found:
                self.assertAlmostEqual(scores[index], boundary, delta=WITHIN * boundary,
                                       msg=f"patch {index} of {theirs['id']}")
        self.assertGreaterEqual(sum(shares) / len(shares), SAME_PATCHES)
        self.assertNotEqual(exact, rounded, "the scan was not in bf16")

    def test_training_in_bf16_follows_fp32(self):
        self.assert_done(self.train("fp32", *self.on_device()))
        self.assert_done(self.train("bf16", *self.on_device("training.precision=bf16")))
        exact, rounded = losses(self.work / "fp32"), losses(self.work / "bf16")
        self.assertNotEqual(exact, rounded)
        self.assertTrue(all(map(math.isfinite, rounded)))
        self.assertAlmostEqual(rounded[0], exact[0], delta=0.02 * exact[0])
        self.assertAlmostEqual(rounded[-1], exact[-1], delta=0.2 * exact[-1])

    def test_auto_is_measured_once_and_kept(self):
        automatic = self.on_device("training.precision=auto", "training.scan_precision=auto")
        self.assert_done(self.train("auto", *automatic, "--set", "training.epochs=2"))
        config = (self.work / "auto" / "config.toml").read_text()
        chosen = [line.split('"')[1] for line in config.splitlines()
                  if line.startswith(("precision", "scan_precision"))]
        self.assertEqual(len(chosen), 2)
        self.assertIn(chosen[0], ("fp32", "bf16"))
        self.assertEqual(*chosen)
        self.assert_done(self.train("auto", *automatic, "--set", "training.epochs=3",
                                   "--accept", "training.epochs"))


class Gpu(Precision):
    """The same on a GPU, and a GPU beside the CPU."""

    device = "cuda"

    @classmethod
    def setUpClass(cls):
        if not has_gpu():
            raise unittest.SkipTest("no GPU here")
        super().setUpClass()

    def test_losses_are_those_of_the_cpu(self):
        """Each epoch of one step starts from equal weights: those of a run on the CPU."""
        steps = ["training.batch_size_global=24", "training.epochs=1", "aggregator.dropout=0",
                 "aggregator.attention_dropout=0", "optimizer.warmup_epochs=0"]
        weights = []
        for step in range(3):
            start = ["--set", f"training.initial_weights={weights[-1]}"] if weights else []
            found = []
            for device in ("cpu", "cuda"):
                name = f"{device}{step}"
                self.assert_done(self.train(name, *start, *(
                    w for s in (*steps, f"distributed.device={device}") for w in ("--set", s))))
                found.append(losses(self.work / name)[0])
            self.assertAlmostEqual(found[0], found[1], delta=1e-3 * found[0], msg=f"step {step}")
            checkpoints = self.work / f"cpu{step}" / "checkpoints"
            weights.append(checkpoints / (checkpoints / "latest").read_text().strip()
                           / "model.safetensors")

    def test_two_ranks_share_it_over_mpi(self):
        shared = self.on_device("distributed.share_device=true", "distributed.backend=mpi")
        self.assert_done(self.train("one", *self.on_device()))
        self.assert_done(self.train("two", *shared, ranks=2))
        for one, two in zip(losses(self.work / "one"), losses(self.work / "two"), strict=True):
            self.assertAlmostEqual(one, two, delta=1e-3 * one)

    def test_deterministic_runs_are_equal(self):
        for name in ("first", "second"):
            self.assert_done(self.train(name, *self.on_device("distributed.deterministic=true")))
        self.assertEqual(latest_weights(self.work / "first"), latest_weights(self.work / "second"))

    def test_memory_does_not_grow_with_the_number_of_patches(self):
        peaks = []
        for side in (128, 512):
            name = f"side{side}"
            self.assert_done(self.train(name, *self.on_device(
                f"data.height={side}", f"data.width={side}", "training.epochs=1",
                "data.device_bytes=1000000")))
            lines = (self.work / name / "metrics.jsonl").read_text().splitlines()
            peaks.append(max(e["device_bytes_peak"] for e in map(json.loads, lines)
                             if e["event"] == "step"))
        self.assertLess(peaks[1], 1.1 * peaks[0] + 1e6)


if __name__ == "__main__":
    unittest.main(verbosity=2)  # says why something is skipped

"""The batch scripts in slurm/ on a real Slurm of two nodes: queued again, resumed, finished."""

import pathlib
import time
import unittest

import cluster
from harness import MPIRUN, PROGRAM, ProgramTest, events, latest_weights
from hosts import need, wait_until

EPOCHS = ("--set", "training.epochs=6")  # 18 steps
FOUR_RANKS = ("--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2")


class SlurmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        begin = time.monotonic()
        cls.cluster = cluster.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.parent = cls.cluster.folder
        print(f"a cluster of two nodes in {time.monotonic() - begin:.1f} s")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.begin = time.monotonic()
        self.config.write_text(
            self.config.read_text().replace("micro_batches = 2", "micro_batches = 4"))

    def submit(self, script, *words, options=(), site=None):
        """A template, with what a user may say to sbatch; its output is in self.work."""
        environment = {"DBPS_BUILD": str(pathlib.Path(PROGRAM).parent), "OMP_NUM_THREADS": "1"}
        if site:
            environment["DBPS_SITE"] = str(site)
        return self.cluster.submit(
            f"--output={self.work}/%x-%j.out", "--cpus-per-task=1", *options, f"slurm/{script}",
            *words, *EPOCHS, "--set", f"experiment.output={self.work}", more=environment)

    def output(self):
        return "".join(path.read_text() for path in sorted(self.work.glob("*.out")))

    def finish(self, job, seconds=180):
        try:
            self.cluster.wait_for(job, "COMPLETED", seconds)
        except AssertionError as failure:
            self.fail(f"{failure}\n{self.output()}")
        return int(self.cluster.show(job)["Restarts"])

    def wait_for_steps(self, name, steps):
        metrics = self.work / name / "metrics.jsonl"
        wait_until(lambda: metrics.exists() and metrics.read_text().count('"event":"step"') >= steps,
                   90, f"{steps} steps of {name}")

    def signal_ranks(self, signal, config):
        for name in self.cluster.hosts.hosts:
            self.cluster.hosts.run(name, "pkill", f"-{signal}", "-f", f"^{PROGRAM} train {config}",
                                   check=False)

    def assert_equal_runs(self, one, other):
        """But for the checkpoints that stopping writes besides."""
        kept = [[e for e in events(self.work / name) if e["event"] != "checkpoint"]
                for name in (one, other)]
        self.assertEqual(*kept)
        self.assertEqual(latest_weights(self.work / one), latest_weights(self.work / other))
        print(f"{self.id().split('.')[-1]}: {one} and {other} have equal metrics and weights, "
              f"{time.monotonic() - self.begin:.0f} s")

    def test_queued_again_by_hand_and_at_the_time_limit(self):
        self.assert_done(self.train("whole", *EPOCHS, ranks=4))
        job = self.submit("train.sbatch", self.config, "--set", "experiment.name=job",
                          options=(*FOUR_RANKS, "--time=1", "--signal=B:USR1@5"))
        self.wait_for_steps("job", 4)
        self.cluster.on("h1", "scontrol", "requeue", job)
        self.wait_for_steps("job", 8)
        # Standing still until the notice comes, the run cannot be over before it.
        notices = self.output().count("notice of the end")
        self.signal_ranks("STOP", self.config)
        wait_until(lambda: self.output().count("notice of the end") > notices, 90, "a notice")
        self.signal_ranks("CONT", self.config)
        self.assertGreaterEqual(self.finish(job), 2, self.output())
        self.assertIn("start 3", self.output())
        self.assert_equal_runs("whole", "job")

    def test_ranks_started_by_mpirun(self):
        self.assert_done(self.train("whole", *EPOCHS, ranks=4))
        site = self.work / "site.sh"
        site.write_text(f"launch=({MPIRUN})\n")
        job = self.submit("train.sbatch", self.config, "--set", "experiment.name=job",
                          options=FOUR_RANKS, site=site)
        self.wait_for_steps("job", 4)
        self.cluster.on("h1", "scancel", "--batch", "--signal=USR1", job)
        self.assertEqual(self.finish(job), 1, self.output())
        self.assert_equal_runs("whole", "job")

    def test_array(self):
        text = self.config.read_text()
        configs = []
        for seed in range(2):
            configs.append(self.work / f"seed{seed}.toml")
            configs[-1].write_text(text.replace('name = "small"',
                                                f'name = "seed-{seed}"\nseed = {seed}'))
        array = self.submit("array.sbatch", *configs, "--", options=("--array=0-1",))
        tasks = [f"{array}_{i}" for i in range(2)]
        for i in range(2):
            self.wait_for_steps(f"seed-{i}", 2)
        # The task that has the array's own number is the one whose name may stand for all.
        named = next(i for i in range(2) if self.cluster.show(tasks[i])["JobId"] == array)
        self.signal_ranks("STOP", configs[named])
        self.assertEqual(self.finish(tasks[1 - named]), 0)
        self.cluster.on("h1", "scancel", "--batch", "--signal=USR1", tasks[named])
        self.signal_ranks("CONT", configs[named])
        self.assertEqual(self.finish(tasks[named]), 1, self.output())
        self.assertEqual(self.finish(tasks[1 - named]), 0)
        for i in range(2):
            self.assert_done(self.train(f"whole-{i}", "--set", f"experiment.seed={i}", *EPOCHS))
            self.assert_equal_runs(f"whole-{i}", f"seed-{i}")

    def test_an_array_longer_than_its_configurations(self):
        job = self.submit("array.sbatch", self.config, "--",
                          options=("--array=1", "--gpus-per-node=0"))
        wait_until(lambda: self.cluster.show(job)["JobState"] == "FAILED", 60, "the job has failed")
        self.assertEqual(self.cluster.show(job)["ExitCode"], "64:0")
        self.assertIn("task 1 has no configuration: 1 given", self.output())


if __name__ == "__main__":
    need("the test of slurm/", cluster.NEEDS)
    unittest.main()

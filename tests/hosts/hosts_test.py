"""Training over two hosts: the same as on one, what goes over the wire, and a host that is lost."""

import os
import time
import unittest

from harness import MPIRUN, PROGRAM, ProgramTest, events, latest_weights
from hosts import Hosts, need, wait_until

RANKS_PROGRAM = os.environ["DBPS_RANKS_PROGRAM"]
DEADLINE = 10  # seconds; a step takes far less, also on a busy machine


class HostsTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hosts = Hosts()
        cls.addClassCleanup(cls.hosts.close)
        cls.parent = cls.hosts.folder
        # As docs/cluster.md says it for hosts without a scheduler.
        cls.over_both = [
            MPIRUN, "--mca", "plm_rsh_agent", cls.hosts.serve_ssh(), "--mca", "btl",
            "tcp,self,vader", "--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include",
            "eth0", "-x", "OMP_NUM_THREADS=1", "-H", "h1:2,h2:2"]
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.config.write_text(
            self.config.read_text().replace("micro_batches = 2", "micro_batches = 4"))

    def command(self, name, *more):
        return [*self.over_both, PROGRAM, "train", self.config, "--set",
                f"experiment.output={self.work}", "--set", f"experiment.name={name}", *more]

    def train_over_both(self, name, *more):
        return self.hosts.run("h1", *self.command(name, *more), timeout=180)

    def steps(self, name):
        if not (self.work / name / "metrics.jsonl").exists():
            return []
        return [e for e in events(self.work / name) if e["event"] == "step"]

    def test_each_rank_knows_its_place(self):
        said = self.hosts.run("h1", *self.over_both, RANKS_PROGRAM, "where").stdout
        self.assertEqual(sorted(said.splitlines()), [
            "rank 0 of 4 is 0 of 2 on h1", "rank 1 of 4 is 1 of 2 on h1",
            "rank 2 of 4 is 0 of 2 on h2", "rank 3 of 4 is 1 of 2 on h2"])

    def test_the_same_as_on_one_host(self):
        self.train_over_both("two")
        self.assert_done(self.train("four-ranks", ranks=4))
        self.assert_done(self.train("one-rank"))
        self.assertEqual(events(self.work / "two"), events(self.work / "four-ranks"))
        self.assertEqual(*(latest_weights(self.work / name) for name in ("two", "four-ranks")))
        losses = [[e["loss"] for e in self.steps(name)] for name in ("two", "one-rank")]
        worst = max(abs(a - b) / b for a, b in zip(*losses, strict=True))
        self.assertLess(worst, 1e-4)  # sums of four in another order
        print(f"two hosts and one host of 4 ranks: equal metrics and weights; one rank of 4 "
              f"micro-batches: losses within {worst:.1e}")

    def test_bytes_over_the_wire(self):
        def sent_in(epochs):
            before = [self.hosts.bytes_sent(name) for name in ("h1", "h2")]
            self.train_over_both(f"sent-{epochs}", "--set", f"training.epochs={epochs}", "--set",
                                 "validation.every_epochs=100", "--set", "report.maps_per_epoch=0",
                                 "--set", "distributed.check_every=0")
            return [self.hosts.bytes_sent(name) - b for name, b in zip(("h1", "h2"), before)]
        few, many = sent_in(2), sent_in(22)
        a_step = [(m - f) / 60 for f, m in zip(few, many)]  # without start and end
        reduced = sum(len(values) for name, values in latest_weights(self.work / "sent-22").items()
                      if not name.startswith("optimizer."))
        print(f"bytes sent a step: {a_step[0]:.0f} by h1, {a_step[1]:.0f} by h2; gradients and "
              f"statistics {reduced}: {a_step[0] / reduced:.2f} and {a_step[1] / reduced:.2f} times")
        # However they are summed, a host sends them once at least, and once a rank of its own at
        # most; frames, acknowledgements and the control channel come to less than a tenth.
        for sent in a_step:
            self.assertGreater(sent, reduced)
            self.assertLess(sent, 2.1 * reduced)

    def test_a_host_that_is_lost(self):
        settings = ("--set", "training.epochs=20", "--set", "checkpoint.every_steps=1")
        output = self.work / "lost.out"
        with output.open("w") as file:
            lost = self.hosts.start(
                "h1", *self.command("lost", *settings, "--set",
                                    f"distributed.deadline_seconds={DEADLINE}"),
                stdout=file, stderr=file)
        self.addCleanup(lost.wait)
        self.addCleanup(lost.kill)
        wait_until(lambda: len(self.steps("lost")) >= 5, 90, "5 steps")
        self.addCleanup(self.hosts.mend, "h2")
        self.hosts.cut("h2")
        begin = time.monotonic()
        wait_until(lambda: lost.poll() is not None, DEADLINE + 10, "the launcher is back", step=0.1)
        back = time.monotonic() - begin
        for name in ("h1", "h2"):
            wait_until(lambda: not self.hosts.processes(name, f"{PROGRAM} train"),
                       DEADLINE + 10 - (time.monotonic() - begin), f"no rank left on {name}")
        gone = time.monotonic() - begin
        said = output.read_text()
        print(f"deadline {DEADLINE} s: launcher back after {back:.1f} s with {lost.returncode}, "
              f"no rank left after {gone:.1f} s")
        self.assertEqual(lost.returncode, 124, said)
        self.assertIn("distributed.deadline_seconds", said)

        stopped_at = len(self.steps("lost"))
        resumed = self.train("lost", *settings, ranks=4)
        self.assert_done(resumed)
        self.assertIn("going on from step", resumed.err)
        self.assert_done(self.train("whole", *settings, ranks=4))
        self.assertEqual(self.steps("lost"), self.steps("whole"))
        self.assertEqual(latest_weights(self.work / "lost"), latest_weights(self.work / "whole"))
        print(f"cut at step {stopped_at} of 60; resumed on one host to equal metrics and weights")


if __name__ == "__main__":
    need("the test of several hosts", {"ip": "iproute2", "sshd": "openssh-server",
                                       "ssh-keygen": "openssh-client", "mpirun": "openmpi-bin"})
    unittest.main()

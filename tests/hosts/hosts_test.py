"""Training over two hosts: the same as on one, what goes over the wire, a host that is lost, and
stores that each host copies its share of."""

import contextlib
import fcntl
import json
import os
import re
import time
import unittest

from harness import MPIRUN, PROGRAM, ProgramTest, events, latest_weights, run
from hosts import Hosts, need, wait_until
import tiles_test

RANKS_PROGRAM = os.environ["DBPS_RANKS_PROGRAM"]
DEADLINE = 10  # seconds; a step takes far less, also on a busy machine


class OverHosts(ProgramTest):
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

    def bytes_a_step(self, name, *more):
        """What each host sends a step, without start and end; the longer run is NAME-22."""
        def sent_in(epochs):
            before = [self.hosts.bytes_sent(host) for host in ("h1", "h2")]
            self.train_over_both(f"{name}-{epochs}", "--set", f"training.epochs={epochs}", "--set",
                                 "validation.every_epochs=100", "--set", "report.maps_per_epoch=0",
                                 "--set", "distributed.check_every=0", *more)
            return [self.hosts.bytes_sent(host) - b for host, b in zip(("h1", "h2"), before)]
        few, many = sent_in(2), sent_in(22)
        return [(m - f) / (len(self.steps(f"{name}-22")) - len(self.steps(f"{name}-2")))
                for f, m in zip(few, many)]


class HostsTest(OverHosts):
    def test_each_rank_knows_its_place(self):
        said = self.hosts.run("h1", *self.over_both, RANKS_PROGRAM, "where").stdout
        self.assertEqual(sorted(said.splitlines()), [
            "rank 0 of 4 is 0 of 2 on h1, node 0 of 2", "rank 1 of 4 is 1 of 2 on h1, node 0 of 2",
            "rank 2 of 4 is 0 of 2 on h2, node 1 of 2", "rank 3 of 4 is 1 of 2 on h2, node 1 of 2"])

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
        a_step = self.bytes_a_step("sent")
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


class Staging(OverHosts):
    """Each host has a /tmp of its own, which the test sees at <hosts>/<host>/tmp."""

    staged = ("--set", "data.placement=staged", "--set", "data.stage_dir=/tmp/scratch")

    def setUp(self):
        super().setUp()
        for name in ("h1", "h2"):
            self.hosts.run(name, "rm", "-rf", "/tmp/scratch")

    def scratch(self, name):
        return self.hosts.folder / name / "tmp" / "scratch"

    def held_by(self, name):
        return self.held_in(self.scratch(name))

    @staticmethod
    def held_in(scratch):
        """{shard: bytes} of a scratch's copies laid over each other, and the bags they list."""
        shards, bags = {}, []
        for folder in scratch.glob("dbps-copy-*"):
            bags += [line.split(" ", 1)[1] for line in (folder / "copied").read_text().splitlines()]
            for shard in folder.glob("shard-*.h5"):
                held = int.from_bytes(shard.read_bytes(), "big")
                shards[shard.name] = shards.get(shard.name, 0) | held
        return shards, bags

    def bytes_of(self, name):
        lines = (self.work / name / "metrics.jsonl").read_text().splitlines()
        steps = [e["bytes"] for e in map(json.loads, lines) if e["event"] == "step"]
        return {key: sum(step[key] for step in steps) / len(steps) for key in steps[0]}

    @contextlib.contextmanager
    def damaged_store(self):
        """Its pixels, not its tables: who reads the store itself then ends with 65."""
        kept = {}
        for shard in json.loads((self.store / "store.json").read_text())["shards"]:
            path = self.store / shard["name"]
            kept[path] = path.read_bytes()
            with path.open("r+b") as file:
                file.seek(shard["blob_offset"])
                file.write(bytes(shard["blob_bytes"]))
        try:
            yield
        finally:
            for path, content in kept.items():
                path.write_bytes(content)


class StagingTest(Staging):
    def test_each_host_holds_its_share_and_reads_nothing_else(self):
        self.train_over_both("two", *self.staged)
        self.assertIn("stage_homes = 2", (self.work / "two" / "config.toml").read_text())
        homes = ("--set", "data.stage_homes=2")
        self.assert_done(self.train("one", *homes, ranks=4))
        local = ("--set", "data.placement=staged", "--set", f"data.stage_dir={self.work}/scratch")
        self.assert_done(self.train("one-staged", *homes, *local, ranks=4))
        for name in ("one", "one-staged"):
            self.assertEqual(events(self.work / "two"), events(self.work / name))
            self.assertEqual(latest_weights(self.work / "two"), latest_weights(self.work / name))

        (held_1, bags_1), (held_2, bags_2) = self.held_by("h1"), self.held_by("h2")
        self.assertEqual((len(bags_1), len(bags_2)), (len(set(bags_1)), len(set(bags_2))))
        self.assertEqual(len(set(bags_1) | set(bags_2)), 36)  # training and validation
        self.assertFalse(set(bags_1) & set(bags_2))
        sizes = [0, 0]
        for shard in json.loads((self.store / "store.json").read_text())["shards"]:
            whole = int.from_bytes((self.store / shard["name"]).read_bytes(), "big")
            held = [one.get(shard["name"], 0) for one in (held_1, held_2)]
            self.assertEqual(held[0] | whole, whole)
            self.assertEqual(held[1] | whole, whole)
            self.assertEqual(held[0] & held[1], 0)
            for i in (0, 1):
                sizes[i] += sum(byte != 0 for byte in held[i].to_bytes(shard["bytes"], "big"))
        self.assertLess(abs(sizes[0] - sizes[1]), 0.2 * sum(sizes))

        with self.damaged_store():
            self.train_over_both("again", *self.staged)
            a_step = self.bytes_a_step("sent", *self.staged)
            interleaved = self.hosts.run(
                "h1", MPIRUN, "--map-by", "node", *self.command("interleaved", *self.staged)[1:],
                timeout=180)
        self.assertEqual(interleaved.returncode, 0)
        self.assertEqual(events(self.work / "two"), events(self.work / "again"))
        losses = [[e["loss"] for e in self.steps(name)] for name in ("two", "interleaved")]
        for a, b in zip(*losses, strict=True):
            self.assertAlmostEqual(a, b, delta=1e-4)
        said = [line for line in (self.work / "again" / "log.txt").read_text().splitlines()
                if "staged" in line]
        self.assertEqual(len([line for line in said if ": 0 B copied" in line]), 2, said)
        a_run = self.bytes_of("sent-22")
        self.assertGreater(a_run["read"], 0)
        self.assertEqual(a_run["read"], a_run["staged"])
        print(f"h1 holds {len(bags_1)} pictures ({sizes[0]} bytes), h2 {len(bags_2)} ({sizes[1]}); a "
              f"step reads {a_run['read']:.0f} bytes, all of them from copies; over the wire a step: "
              f"{a_step[0]:.0f} by h1 and {a_step[1]:.0f} by h2, sums of {a_run['reduced']:.0f}")
        for sent in a_step:
            self.assertGreater(sent, a_run["reduced"])
            self.assertLess(sent, 2.1 * a_run["reduced"])

    def small_scratch(self, name, bytes_of_it):
        self.hosts.run(name, "mkdir", "-p", "/tmp/scratch")
        self.hosts.run(name, "mount", "-t", "tmpfs", "-o", f"size={bytes_of_it}", "tmpfs",
                       "/tmp/scratch")
        self.addCleanup(self.hosts.run, name, "umount", "/tmp/scratch")

    def test_one_host_too_small(self):
        self.small_scratch("h2", 16384)
        refused = self.hosts.run("h1", *self.command("small", *self.staged), check=False,
                                 timeout=180)
        self.assertEqual(refused.returncode, 70, refused.stderr)
        found = re.search(r"h2: data.stage_dir = /tmp/scratch is too small: this node's share of the "
                          r"store needs ([\d.]+) kB more and ([\d.]+) kB are free", refused.stderr)
        self.assertIsNotNone(found, refused.stderr)
        self.assertGreater(float(found[1]), float(found[2]))
        self.assertLessEqual(float(found[2]), 16.4)
        self.assertEqual(list(self.scratch("h1").glob("dbps-copy-*/copied")), [])
        print(found[0])

    def test_a_picture_that_both_hosts_share_lies_on_each(self):
        group = ("--set", "distributed.patch_group=4", "--set", "training.epochs=1")
        self.train_over_both("two", *self.staged, *group)
        self.assert_done(self.train("one", "--set", "data.stage_homes=1", *group, ranks=4))
        self.assertEqual(events(self.work / "two"), events(self.work / "one"))
        self.assertEqual(latest_weights(self.work / "two"), latest_weights(self.work / "one"))
        self.assertEqual(self.held_by("h1"), self.held_by("h2"))
        read = self.bytes_of("two")
        self.assertEqual((read["read"], read["exchanged"]), (read["staged"], 0))

    def test_groups_and_homes_that_do_not_fit_the_hosts_are_refused(self):
        # Neither neighbours on one host, nor (ranks 0 and 1 there, rank 2 here) as many on each.
        for launcher, size, other in (
                ([*self.over_both, "--map-by", "node"], 2, 1),
                ([str(word).replace("h2:2", "h2:1") for word in self.over_both], 3, 2)):
            program = self.command("group", *self.staged, "--set",
                                   f"distributed.patch_group={size}")[len(self.over_both):]
            refused = self.hosts.run("h1", *launcher, *program, check=False, timeout=180)
            self.assertEqual(refused.returncode, 64, refused.stderr)
            self.assertIn(f"distributed.patch_group = {size}: ranks 0 and {other} share slides but "
                          f"lie on different nodes", refused.stderr)
        odd = self.hosts.run("h1", *self.command("odd", *self.staged, "--set",
                                                 "data.stage_homes=1"), check=False, timeout=180)
        self.assertEqual(odd.returncode, 64, odd.stderr)
        self.assertIn("data.stage_homes = 1 must be a multiple of the 2 nodes", odd.stderr)

    def test_copies_that_no_run_reads_make_room(self):
        other = self.work / "other"
        made = run("make-demo", other, "--seed", 4, "--canvas", 128, "--train", 24, "--validation",
                   12, "--test", 12, "--digits", 4, 5, "--distractors", 4, 6)
        self.assert_done(made)

        def train(name, store):
            return self.hosts.run("h1", *(PROGRAM, "train", self.config, "--set",
                                          f"experiment.output={self.work}", "--set",
                                          f"experiment.name={name}", "--set",
                                          f"data.store={store}", "--set", "training.epochs=1",
                                          *self.staged), check=False)
        shares = [shard["blob_bytes"] for shard in
                  json.loads((self.store / "store.json").read_text())["shards"]]
        self.small_scratch("h1", int(1.3 * sum(shares)) // 4096 * 4096)
        first = train("first", self.store)
        self.assertEqual(first.returncode, 0, first.stderr)
        (copy,) = self.hosts.run("h1", "sh", "-c", "ls -d /tmp/scratch/dbps-copy-*").stdout.split()
        inside = f"/proc/{self.hosts.hosts['h1']}/root{copy}"
        with open(f"{inside}/in-use") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # as another run does
            refused = train("second", other / "store")
            self.assertEqual(refused.returncode, 70, refused.stderr)
            self.assertIn("h1: data.stage_dir = /tmp/scratch is too small", refused.stderr)
            self.assertTrue(os.path.exists(f"{inside}/copied"))
        second = train("second", other / "store")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn(f"removed {copy}, which no run read", second.stderr)
        self.assertFalse(os.path.exists(inside))


class StagedGroupTest(Staging):
    """Slides that the four ranks of both hosts share, each host holding a half of every one."""

    small_run = tiles_test.SMALL_RUN
    group = ("--set", "distributed.patch_group=4", "--set", "report.maps_per_epoch=0")

    @classmethod
    def make_store(cls):
        tiles_test.make_tiles(cls.folder / "store", parts=3, lesions=0.25, least=1, most=200)
        return cls.folder / "store"

    def test_each_host_holds_its_part_of_every_slide(self):
        self.train_over_both("two", *self.staged, *self.group)
        self.assertIn("stage_homes = 1\n", (self.work / "two" / "config.toml").read_text())
        homes = ("--set", "data.stage_homes=1")
        local = ("--set", "data.placement=staged", "--set", f"data.stage_dir={self.work}/scratch")
        self.assert_done(self.train("one", *homes, *self.group, ranks=4))
        self.assert_done(self.train("one-staged", *homes, *local, *self.group, ranks=4))
        for name in ("one", "one-staged"):
            self.assertEqual(events(self.work / "two"), events(self.work / name))
            self.assertEqual(latest_weights(self.work / "two"), latest_weights(self.work / name))

        (held_1, bags_1), (held_2, bags_2) = self.held_by("h1"), self.held_by("h2")
        self.assertEqual(len(set(bags_1)), 32)  # training and validation
        self.assertEqual(sorted(bags_1), sorted(bags_2))
        both, _ = self.held_in(self.work / "scratch")
        sizes = [0, 0]
        for shard in json.loads((self.store / "store.json").read_text())["shards"]:
            held = [one.get(shard["name"], 0) for one in (held_1, held_2)]
            self.assertEqual(held[0] | held[1], both[shard["name"]])
            self.assertEqual(held[0] & held[1], 0)
            for i in (0, 1):
                sizes[i] += sum(byte != 0 for byte in held[i].to_bytes(shard["bytes"], "big"))
        self.assertLess(abs(sizes[0] - sizes[1]), 0.1 * sum(sizes))

        with self.damaged_store():
            self.train_over_both("again", *self.staged, *self.group)
            a_step = self.bytes_a_step("sent", *self.staged, *self.group)
        self.assertEqual(events(self.work / "two"), events(self.work / "again"))
        a_run, one = self.bytes_of("sent-22"), self.bytes_of("one")
        self.assertEqual(self.bytes_of("again")["read"], self.bytes_of("again")["staged"])
        self.assertEqual(a_run["read"], a_run["staged"])
        self.assertEqual(one["exchanged"], 0)  # each reads again what it embeds
        print(f"h1 holds {sizes[0]} bytes of {len(bags_1)} parts of slides, h2 {sizes[1]}; a step "
              f"reads {a_run['read']:.0f} bytes, all of them from copies, and gives "
              f"{a_run['exchanged']:.0f} of chosen tiles into sums; over the wire a step: "
              f"{a_step[0]:.0f} by h1 and {a_step[1]:.0f} by h2, sums of {a_run['reduced']:.0f}")
        # Each of the two ranks of a host gives as much into the sums as travels in all.
        travels = a_run["exchanged"] / 4
        self.assertGreater(travels, 0)
        for sent in a_step:
            self.assertGreater(sent, a_run["reduced"] + travels / 2)
            self.assertLess(sent, 2.5 * (a_run["reduced"] + travels))


if __name__ == "__main__":
    need("the test of several hosts", {"ip": "iproute2", "sshd": "openssh-server",
                                       "ssh-keygen": "openssh-client", "mpirun": "openmpi-bin"})
    unittest.main()

"""A run on two ranks, killed again and again in training, saving and evaluating, ends as if nothing
had happened.

DBPS_KILLS says how often (40). A kill aims at a phase and picks a victim at random; where it really
fell is read off the run's folder while the ranks are held still.
"""

import collections
import json
import os
import pathlib
import random
import signal
import time
import unittest

from harness import ProgramTest, events, latest_weights, run, start

KILLS = int(os.environ.get("DBPS_KILLS", "40"))
EPOCHS = max(3, KILLS)  # three steps each; a session lives for a few of them
AIMS = ("step", "save", "evaluate", "anything")
VICTIMS = ("rank 0", "rank 1", "both ranks", "the launcher")


def ranks_of(folder):
    """{rank: process} of the program that works in this folder."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str(folder).encode() not in (entry / "cmdline").read_bytes():
                continue
            for setting in (entry / "environ").read_bytes().split(b"\0"):
                if setting.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(setting.split(b"=")[1])] = int(entry.name)
        except OSError:  # it is gone
            continue
    return found


def children_of(process):
    return [int(word) for path in pathlib.Path(f"/proc/{process}/task").glob("*/children")
            for word in path.read_text().split()]


def signal_all(processes, number):
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


class Killed(ProgramTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(7)
        self.run_folder = self.work / "killed"
        self.fell = collections.Counter()
        self.victims = collections.Counter()

    def words(self, name):
        return ("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                f"experiment.name={name}", "--set", f"training.epochs={EPOCHS}", "--set",
                "checkpoint.every_steps=1")

    def lines(self):
        path = self.run_folder / "metrics.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def phase(self):
        """What the run is at, by its folder. The ranks hold still, so that it stays so."""
        if any(self.run_folder.glob("checkpoints/*.tmp*")):
            return "save"
        done = [json.loads(line) for line in self.lines() if line.endswith("}")]
        done = [e for e in done if e["event"] in ("step", "evaluation")]
        if not done:
            return "start"
        last = done[-1]
        return "evaluate" if last["event"] == "step" and last["step"] % 3 == 0 else "step"

    def has_gone_on(self, since):
        """Whether this session has done more than say that it goes on."""
        path = self.run_folder / "metrics.jsonl"
        if not path.exists() or path.stat().st_mtime < since:
            return False
        lines = self.lines()
        return bool(lines) and '"event":"resume"' not in lines[-1]

    def wait_for(self, aim, process, since):
        """Until the run has gone on, and is at what is aimed at."""
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if self.has_gone_on(since) and aim in ("anything", self.phase()):
                time.sleep(self.random.uniform(0, 0.02 if aim != "anything" else 0.5))
                return
            time.sleep(0.0005)

    def kill_once(self, number):
        since = time.time()
        process = start(*self.words("killed"), ranks=2)
        self.wait_for(AIMS[number % len(AIMS)], process, since)
        self.assertIsNone(process.poll(), "the run ended before it was killed")
        ranks = ranks_of(self.run_folder.parent)
        self.assertEqual(sorted(ranks), [0, 1])
        signal_all(ranks.values(), signal.SIGSTOP)
        time.sleep(0.01)
        self.fell[self.phase()] += 1
        victim = self.random.choice(VICTIMS)
        self.victims[victim] += 1
        if victim == "the launcher":
            # The script and mpirun together: mpirun alone would ask the ranks to save and stop.
            signal_all([*children_of(process.pid), process.pid], signal.SIGKILL)
        else:
            chosen = {"rank 0": [0], "rank 1": [1]}.get(victim, [0, 1])
            signal_all([ranks[rank] for rank in chosen], signal.SIGKILL)
        signal_all(ranks.values(), signal.SIGCONT)
        process.communicate(timeout=60)
        deadline = time.time() + 30
        while ranks_of(self.run_folder.parent) and time.time() < deadline:
            time.sleep(0.05)
        self.assertEqual(ranks_of(self.run_folder.parent), {}, f"left behind after killing {victim}")
        self.assertNotIn(process.returncode, (0, 64, 65, 75), victim)

    def test_training_ends_as_if_it_had_never_been_killed(self):
        self.assert_done(run(*self.words("whole"), ranks=2, timeout=600))
        for number in range(KILLS):
            self.kill_once(number)
        self.assert_done(run(*self.words("killed"), ranks=2, timeout=600))
        print(f"{KILLS} kills fell into {dict(self.fell)}, of {dict(self.victims)}", flush=True)
        self.assertEqual(events(self.run_folder), events(self.work / "whole"))
        resumed = [e for e in events(self.run_folder, keep_resume=True) if e["event"] == "resume"]
        self.assertGreater(len(resumed), 0)
        steps = [e["step"] for e in events(self.run_folder) if e["event"] == "step"]
        self.assertEqual(steps, list(range(1, 3 * EPOCHS + 1)))
        self.assertEqual(latest_weights(self.run_folder), latest_weights(self.work / "whole"))
        listed = run("checkpoints", self.run_folder)
        self.assert_done(listed)
        if KILLS >= 20:
            for phase in ("step", "save", "evaluate"):
                self.assertGreater(self.fell[phase], 2, "the moments show little")

    def test_eval_leaves_its_file_whole_or_absent(self):
        self.assert_done(self.train("evaluated"))
        self.assert_done(run("eval", self.work / "evaluated", ranks=2))
        (path,) = (self.work / "evaluated").glob("predictions-*.csv")
        whole = path.read_bytes()
        for _ in range(max(1, KILLS // 4)):
            path.unlink(missing_ok=True)
            process = start("eval", self.work / "evaluated", ranks=2)
            time.sleep(self.random.uniform(0.3, 3))
            signal_all(ranks_of(self.work / "evaluated").values(), signal.SIGKILL)
            process.communicate(timeout=60)
            if path.exists():
                self.assertEqual(path.read_bytes(), whole)
        self.assert_done(run("eval", self.work / "evaluated", ranks=2))
        self.assertEqual(path.read_bytes(), whole)


if __name__ == "__main__":
    unittest.main()

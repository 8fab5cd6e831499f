"""A disk that fails while a run saves, and who may write into a run's folder.

Filling a disk and unmounting one needs root and file systems of the test's own; without them those
tests are skipped and say so.
"""

import os
import signal
import subprocess
import time
import unittest

from harness import PROGRAM, ProgramTest, events, latest_weights, run, start

NOBODY = 65534
# Twelve steps an epoch, saved at its end only.
TWELVE = ("--set", "training.batch_size_global=2", "--set", "training.epochs=4")


def mount(folder, size):
    """A file system in memory at `folder`; skips the test where that is not allowed."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder],
                          capture_output=True, text=True)
    if made.returncode != 0:
        raise unittest.SkipTest(f"needs root and may not mount: {made.stderr.strip()}")


def errors(text):
    return [line for line in text.splitlines() if "error:" in line]


class Disk(ProgramTest):
    whole = None  # the weights of an unbroken run

    def setUp(self):
        super().setUp()
        self.disk = self.work / "disk"
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], capture_output=True)

    def words(self, *more):
        return ("train", self.config, "--set", f"experiment.output={self.disk}", "--set",
                "experiment.name=run", *TWELVE, *more)

    def steps(self, folder=None):
        folder = folder or self.disk / "run"
        if not (folder / "metrics.jsonl").exists():
            return []
        return [e["step"] for e in events(folder) if e["event"] == "step"]

    def start_and_wait_for(self, step):
        """A run that is held still once this step is on the disk."""
        process = start(*self.words())
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None and len(self.steps()) < step:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGSTOP)
        self.assertGreaterEqual(len(self.steps()), step)
        self.assertLess(len(self.steps()), 24, "too late: the second epoch is over")
        return process

    def end_of(self, process):
        os.kill(process.pid, signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 70, err)
        (line,) = errors(err)
        return line

    def whole_run(self):
        if Disk.whole is None:
            self.assert_done(self.train("whole", *TWELVE))
            Disk.whole = latest_weights(self.work / "whole")
        return Disk.whole

    def test_full(self):
        mount(self.disk, "8m")
        process = self.start_and_wait_for(14)
        ballast = self.disk / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        # Room for lines, not for a checkpoint.
        os.truncate(ballast, ballast.stat().st_size - (1 << 17))
        line = self.end_of(process)
        self.assertIn("checkpoint step-00000024 is not saved", line)
        self.assertIn("No space left on device", line)
        self.assertIn("the last good checkpoint is step-00000012", line)
        self.assertLess(self.steps()[-1], 36, "said an epoch later")
        listed = run("checkpoints", self.disk / "run")
        self.assert_done(listed)
        self.assertNotIn("step-00000024", listed.out)
        ballast.unlink()
        self.assert_done(run(*self.words()))
        self.assertEqual(latest_weights(self.disk / "run"), self.whole_run())

    def test_full_to_the_last_byte(self):
        mount(self.disk, "8m")
        process = self.start_and_wait_for(14)
        with open(self.disk / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        line = self.end_of(process)
        self.assertIn("No space left on device", line)
        self.assertIn("the last good checkpoint is step-00000012", line)
        (self.disk / "ballast").unlink()
        self.assert_done(run(*self.words()))
        self.assertEqual(self.steps(), list(range(1, 49)))
        self.assertEqual(latest_weights(self.disk / "run"), self.whole_run())

    def test_unmounted(self):
        mount(self.disk, "32m")
        process = self.start_and_wait_for(14)
        subprocess.run(["umount", "-l", self.disk], check=True)
        line = self.end_of(process)
        self.assertIn("checkpoint step-00000024 is not saved", line)
        self.assertIn("is gone", line)
        self.assertEqual(list(self.disk.iterdir()), [], "written to another disk")

    def test_the_run_s_folder_is_taken_away(self):
        process = self.start_and_wait_for(14)
        away = self.work / "away"
        (self.disk / "run").rename(away)
        line = self.end_of(process)
        self.assertIn("is gone", line)
        self.assertEqual(list(self.disk.iterdir()), [])
        away.rename(self.disk / "run")
        self.assert_done(run(*self.words()))
        self.assertEqual(self.steps(), list(range(1, 49)))
        self.assertEqual(latest_weights(self.disk / "run"), self.whole_run())


class ReadOnly(ProgramTest):
    """Root may write anywhere: as root the program runs as nobody."""

    def setUp(self):
        super().setUp()
        self.disk = self.work / "disk"
        self.disk.mkdir()
        self.as_user = []
        if os.geteuid() == 0:
            self.as_user = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]
            for folder in (self.folder, self.work):
                folder.chmod(0o755)
            os.chown(self.disk, NOBODY, -1)
            seen = subprocess.run([*self.as_user, PROGRAM, "--version"], capture_output=True)
            if seen.returncode != 0:
                self.skipTest("needs a user other than root that can read the program")

    def command(self, *more):
        return [*self.as_user, PROGRAM, "train", self.config, "--set",
                f"experiment.output={self.disk}", "--set", "experiment.name=run", "--set",
                "checkpoint.every_steps=1", *more]

    def end_of(self, process):
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 70, err)
        (line,) = errors(err)
        self.assertIn("Permission denied", line)
        return line

    def begin(self, *more):
        return subprocess.Popen(self.command(*more), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                                env=dict(os.environ, OMP_NUM_THREADS="1", HOME="/nonexistent"))

    def test_from_the_start(self):
        self.disk.chmod(0o555)
        self.end_of(self.begin())

    def test_from_a_save_on(self):
        process = self.begin("--set", "training.epochs=50")
        checkpoints = self.disk / "run" / "checkpoints"
        deadline = time.time() + 60
        while time.time() < deadline and not (checkpoints / "latest").exists():
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGSTOP)
        checkpoints.chmod(0o555)
        os.kill(process.pid, signal.SIGCONT)
        line = self.end_of(process)
        self.assertRegex(line, "the last good checkpoint is step-[0-9]{8}")
        checkpoints.chmod(0o755)
        self.assert_done(run("checkpoints", self.disk / "run"))
        going_on = self.begin("--set", "training.epochs=50", "--set", "checkpoint.every_steps=100")
        time.sleep(0.1)
        going_on.send_signal(signal.SIGUSR1)
        _, err = going_on.communicate(timeout=60)
        self.assertIn(going_on.returncode, (75, -signal.SIGUSR1), err)


class Writers(ProgramTest):
    def test_one_writer_at_a_time_also_after_a_kill(self):
        long = ("--set", "training.epochs=200")
        words = ("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                 "experiment.name=held", *long)
        metrics = self.work / "held" / "metrics.jsonl"
        for _ in range(2):  # the second goes on where the first was killed
            began = time.time()
            process = start(*words, ranks=2)
            deadline = time.time() + 60
            while time.time() < deadline and not (
                    metrics.exists() and metrics.stat().st_size > 0
                    and metrics.stat().st_mtime > began):
                time.sleep(0.01)
            for ranks in (0, 2):
                second = self.train("held", *long, ranks=ranks)
                self.assertEqual(second.code, 64, second.err)
                (line,) = errors(second.err)
                self.assertIn("writes into this run's folder", line)
            holder = int((self.work / "held" / "lock").read_text().split()[1])
            os.kill(holder, signal.SIGKILL)
            process.communicate(timeout=60)


if __name__ == "__main__":
    unittest.main()

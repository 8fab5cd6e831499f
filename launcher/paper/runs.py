"""Runs of rows: which there are, how far they have come, and running what is left of them.

A run is `dbps train` of the row's configuration and overrides in a folder of its own, then `dbps
eval` on the test split with the checkpoint that validation chose and with the last one. Each of the
three is skipped where its outcome is there, so that a table goes on where it stopped.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import tomllib

from paper import rows as paper_rows

STOPPED = 75  # exit code: stopped by a signal, saved, resumable
CHECKPOINTS = ("best", "latest")
SETTINGS_FILE = "settings.json"  # in a run's folder: what it was begun with


class Refused(Exception):
    """A command that cannot be done as given: exit code 64."""


@dataclasses.dataclass
class Run:
    """One row at one seed. Rows with equal settings share it."""
    row: paper_rows.Row
    seed: int
    output: pathlib.Path
    extra: tuple = ()  # "table.key=value" from the command line, for every run
    problem: str = ""  # why it did not run, one line
    absent: bool = False  # because a file that its configuration names is not here

    @property
    def name(self):
        return self.row.run_name(self.seed)

    @property
    def folder(self):
        return self.output / self.name

    def overrides(self):
        return [*self.row.overrides(), f"experiment.seed={self.seed}",
                f"experiment.name={self.name}", f"experiment.output={self.output}", *self.extra]

    def arguments(self, threads=0):
        """Of `dbps train`. `threads`: compute threads where the configuration leaves them free."""
        overrides = self.overrides()
        if threads and not self.fixed_threads():
            overrides.insert(0, f"distributed.threads={self.resolved_threads() or threads}")
        return [str(paper_rows.ROOT / self.row.config),
                *(word for text in overrides for word in ("--set", text))]

    def fixed_threads(self):
        config = paper_rows.read_config(self.row.config)
        return config.get("distributed", {}).get("threads", 0)

    def resolved_threads(self):
        """What an earlier session of this run computed with; it may not change."""
        path = self.folder / "config.toml"
        if not path.is_file():
            return 0
        return tomllib.loads(path.read_text())["distributed"]["threads"]

    def settings(self):
        """What decides the outcome, to notice that it has changed since the run was begun."""
        document = json.dumps(paper_rows.read_config(self.row.config), sort_keys=True)
        return {"config": self.row.config, "sha256": hashlib.sha256(document.encode()).hexdigest(),
                "overrides": [*self.row.overrides(), *self.extra]}

    def check_settings(self):
        """Raises Refused where the folder holds a run of other settings; notes ours otherwise."""
        path = self.folder / SETTINGS_FILE
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(self.settings(), indent=1) + "\n")
        elif json.loads(path.read_text()) != self.settings():
            raise Refused(f"{self.folder} was begun with other settings ({path.name} there): "
                          "remove it, or give another --output")

    def events(self, *kinds):
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text().splitlines()
        marks = tuple(f'{{"event":"{kind}"' for kind in kinds)
        return [json.loads(line) for line in lines if line.startswith(marks)]

    def trained(self):
        return bool(self.events("end"))

    def begun(self):
        return (self.folder / "metrics.jsonl").is_file()

    def checkpoint_name(self, which):
        return (self.folder / "checkpoints" / which).read_text().strip()

    def evaluation_file(self, which):
        return self.folder / f"test-{which}.json"

    def finished(self):
        return self.trained() and all(self.evaluation_file(w).is_file() for w in CHECKPOINTS)

    def state(self):
        if self.finished():
            return "finished"
        if self.trained():
            return "trained, not evaluated"
        return "begun" if self.begun() else "not begun"


def write_whole(path, text):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def missing_data(row, extra):
    """One line saying which file a row's configuration needs and is not here; "" when all are."""
    config = paper_rows.ROOT / row.config
    if not config.is_file():
        return f"{row.config} is not here"
    document = paper_rows.read_config(row.config)
    given = dict(text.split("=", 1) for text in (*row.overrides(), *extra) if "=" in text)
    for key, mark in (("data.store", "store.json"), ("encoder.weights", "")):
        table, name = key.split(".")
        value = given.get(key, document.get(table, {}).get(name, "")).strip("\"'")
        if value and not value.startswith("[") and not any(
                (folder / value / mark).exists() for folder in (config.parent, pathlib.Path())):
            what = "holds no store" if mark else "is not here"
            return (f"{key} = \"{value}\" {what}; datasets/{row.data} says how to get it, "
                    f"--set {key}=PATH where it lies")
    return ""


def last_error(path):
    """The line by which the program said what went wrong."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["no word from the program"])[-1].removeprefix("error:").strip()


class Stop(Exception):
    """A run that a signal stopped."""


class Runner:
    """Runs what is left of `runs`, `jobs` at a time. `say` takes progress, a line a call."""

    def __init__(self, runs, output, jobs, say):
        self.todo = [run for run in runs if not run.finished()]
        self.total = len(runs)
        self.done = len(runs) - len(self.todo)
        self.output = output
        self.jobs = jobs
        self.say = say
        self.threads = max(1, len(os.sched_getaffinity(0)) // jobs)
        self.lock = threading.Lock()
        self.children = set()
        self.signals = 0
        self.start = 0.0
        self.done_now = 0

    def run(self):
        """Returns whether a signal stopped it. Runs that fail carry their `problem`."""
        self.start = time.monotonic()
        if self.done:
            self.say(f"{self.done} of {self.total} runs are finished already")
        before = {number: signal.signal(number, self._on_signal)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        workers = [threading.Thread(target=self._work) for _ in range(self.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():  # a signal reaches Python between two of these
                worker.join(0.2)
        for number, handler in before.items():
            signal.signal(number, handler)
        return self.signals > 0

    def _on_signal(self, _number, _frame):
        self.signals += 1
        again = "once more to end it at once" if self.signals == 1 else "ending at once"
        self.say(f"stopping: the runs save what they have ({again})")
        for child in list(self.children):
            child.send_signal(signal.SIGTERM if self.signals == 1 else signal.SIGKILL)

    def _work(self):
        while True:
            with self.lock:
                if self.signals or not self.todo:
                    return
                run = self.todo.pop(0)
            began = time.monotonic()
            try:
                self._one(run)
            except Stop:
                self.say(f"{run.name}: stopped; the same command goes on")
                return
            except OSError as error:
                run.problem = str(error)
            self._report(run, time.monotonic() - began)

    def _one(self, run):
        if not run.trained():
            self._program(run, ["train", *run.arguments(self.threads)])
        for which in CHECKPOINTS if not run.problem else ():
            self._evaluate(run, which)

    def _evaluate(self, run, which):
        target = run.evaluation_file(which)
        if run.problem or target.is_file():
            return
        best = run.evaluation_file("best")
        if which == "latest" and run.checkpoint_name("best") == run.checkpoint_name("latest"):
            write_whole(target, best.read_text())
            return
        csv = run.folder / f"predictions-test-{which}.csv"
        out = self._program(run, ["--json", "eval", str(run.folder), "--split", "test",
                                  "--checkpoint", which, "--output", str(csv), "--set",
                                  f"distributed.threads={run.resolved_threads()}", "--set",
                                  "training.micro_batches=1"])  # a whole batch at once, for its cost
        if not run.problem:
            write_whole(target, json.dumps(json.loads(out)) + "\n")

    def _program(self, run, words):
        """Standard output of the program; sets run.problem where it fails, raises Stop."""
        logs = self.output / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{run.name}.txt"
        with open(log, "w", encoding="utf-8") as errors:
            with self.lock:
                if self.signals:
                    raise Stop
                # In a session of its own: the terminal's Ctrl-C comes from here, once.
                child = subprocess.Popen([paper_rows.ROOT / "launcher" / "dbps", *words],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=errors, text=True, start_new_session=True)
                self.children.add(child)
            out = child.communicate()[0]
            self.children.discard(child)
        if child.returncode == STOPPED or (child.returncode != 0 and self.signals):
            raise Stop
        if child.returncode != 0:
            run.problem = last_error(log)
        return out

    def _report(self, run, seconds):
        with self.lock:
            self.done += 1
            self.done_now += 1
            left = (time.monotonic() - self.start) / self.done_now * (self.total - self.done)
        words = f"failed: {run.problem}" if run.problem else f"{seconds:.0f} s"
        self.say(f"[{self.done}/{self.total}] {run.name}: {words}; {duration(left)} left")


def duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"

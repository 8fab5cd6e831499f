"""What the tests of the whole program share: running it, small data, comparing runs.

Only Python's standard library. DBPS_PROGRAM names the program, DBPS_MPIRUN the launcher.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["DBPS_PROGRAM"]
MPIRUN = os.environ["DBPS_MPIRUN"]
ROOT = pathlib.Path(__file__).resolve().parents[2]

ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")

# A run of a few seconds: 24 pictures of 16 patches, 3 steps of 8 an epoch.
SMALL_RUN = """
[experiment]
name = "small"
[data]
store = "{store}"
height = 128
width = 128
patch_size = 32
[augment]
brightness = 0.1
contrast = 0.1
saturation = 0.0
hue = 0.0
translate = 4
[drop]
ratio = 0.1
[selection]
method = "dbps"
salient = 4
sub_salient = 6
scan_patches = 6
ranking = "global"
shuffle = "none"
explore_epochs = 1
[encoder]
kind = "tiny"
width = 64
[aggregator]
kind = "dual_attention"
heads = 4
key_width = 16
value_width = 16
mlp_width = 64
[[task]]
name = "label"
[optimizer]
learning_rate = 1e-3
warmup_epochs = 1
[training]
epochs = 3
batch_size_global = 8
micro_batches = 2
[distributed]
threads = 1
device = "cpu"
check_every = 2
[report]
maps_per_epoch = 2
"""


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr


def run(*words, ranks=0, timeout=120, env=None, cwd=None):
    """The program with these arguments; ranks > 0: under the MPI launcher."""
    command = [PROGRAM, *map(str, words)]
    if ranks:
        command = [MPIRUN, "-n", str(ranks), *command]
    process = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                             env=dict(ENVIRONMENT, **(env or {})), stdin=subprocess.DEVNULL)
    return Result(process)


def start(*words, ranks=0, cwd=None):
    """The same, not waited for; in a process group of its own."""
    command = [PROGRAM, *map(str, words)]
    if ranks:
        command = [MPIRUN, "-n", str(ranks), *command]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            cwd=cwd, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                            start_new_session=True)


def read_safetensors(path):
    """{name: bytes} of a safetensors file."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: raw[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]]
            for name, entry in header.items()}


def without_key(source, target, key):
    """A copy of a model's file whose header does not have this, as one of an older version."""
    raw = pathlib.Path(source).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    del header["__metadata__"][key]
    header["__metadata__"].pop("crc32c", None)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(target).write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length:])


def latest_weights(run_folder):
    checkpoints = pathlib.Path(run_folder) / "checkpoints"
    name = (checkpoints / "latest").read_text().strip()
    return {**read_safetensors(checkpoints / name / "model.safetensors"),
            **{"optimizer." + k: v for k, v in
               read_safetensors(checkpoints / name / "optimizer.safetensors").items()}}


def events(run_folder, keep_resume=False):
    """metrics.jsonl without what differs from run to run by nature: times and resumptions."""
    lines = (pathlib.Path(run_folder) / "metrics.jsonl").read_text().splitlines()
    kept = []
    for line in lines:
        event = json.loads(line)
        for key in ("seconds", "read_wait", "phases", "device_bytes_peak", "bytes"):
            event.pop(key, None)
        if event["event"] != "resume" or keep_resume:
            kept.append(event)
    return kept


def printed_by_example(word, store):
    """Lines that the example of docs/store.md with this word in it prints of a store."""
    text = (ROOT / "docs" / "store.md").read_text()
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if word in code]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example.replace("STORE", str(store)), {})
    return printed.getvalue().splitlines()


class ProgramTest(unittest.TestCase):
    """A folder for each class, with a small store made once in it."""

    parent = None  # the folder to make it in; None: where the machine keeps temporary files
    small_run = SMALL_RUN  # the configuration; "{store}" in it is the store

    @classmethod
    def make_store(cls):
        made = run("make-demo", cls.folder / "demo", "--seed", 3, "--canvas", 128, "--train", 24,
                   "--validation", 12, "--test", 12, "--digits", 4, 5, "--distractors", 4, 6)
        assert made.code == 0, made.err
        return cls.folder / "demo" / "store"

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-program-", dir=cls.parent))
        cls.store = cls.make_store()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.folder))
        self.config = self.work / "small.toml"
        self.config.write_text(self.small_run.format(store=self.store))

    def train(self, name, *more, ranks=0, timeout=120):
        return run("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                   f"experiment.name={name}", *more, ranks=ranks, timeout=timeout)

    def assert_done(self, result, code=0):
        self.assertEqual(result.code, code, result.err)

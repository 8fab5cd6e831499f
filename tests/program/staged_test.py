"""data.placement = "staged": the same run as from the store itself, out of copies of its own."""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import time
import unittest
import zlib

import features_test
from harness import ProgramTest, events, latest_weights, start
from tiles_test import TileStoreTest


def blobs_of(store):
    """(file, offset, bytes) of where a store's pixels or vectors lie."""
    for shard in json.loads((store / "store.json").read_text())["shards"]:
        yield store / shard["name"], shard["blob_offset"], shard["blob_bytes"]


def bytes_of(run_folder):
    """The bytes that metrics.jsonl names, added up over the steps."""
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    steps = [e["bytes"] for e in map(json.loads, lines) if e["event"] == "step"]
    return {key: sum(step[key] for step in steps) for key in steps[0]}


class Staged(ProgramTest):
    """Two homes on one node, of pictures; of tiles and features below."""

    def setUp(self):
        super().setUp()
        self.scratch = self.work / "scratch"
        self.homes = ("--set", "data.stage_homes=2")
        self.staged = ("--set", "data.placement=staged", "--set", f"data.stage_dir={self.scratch}")

    def assert_same(self, one, other):
        self.assertEqual(events(self.work / one), events(self.work / other))
        self.assertEqual(latest_weights(self.work / one), latest_weights(self.work / other))

    def test_the_same_from_copies_as_from_the_store(self):
        store = self.work / "moved"
        shutil.copytree(self.store, store)
        moved = ("--set", f"data.store={store}")
        self.assert_done(self.train("shared", *self.homes, ranks=2))
        self.assert_done(self.train("copying", *self.homes, *self.staged, *moved, ranks=2))
        self.assert_same("shared", "copying")
        shared, copied = bytes_of(self.work / "shared"), bytes_of(self.work / "copying")
        self.assertGreater(shared["read"], 0)
        self.assertEqual(shared, {**copied, "staged": 0})
        self.assertEqual(copied["staged"], copied["read"])
        self.assertEqual(len(list(self.scratch.glob("dbps-copy-*"))), 2)
        # Whoever read the store itself from here on would find nothing but damage.
        for path, offset, size in blobs_of(store):
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(bytes(size))
        again = self.train("again", *self.homes, *self.staged, *moved, ranks=2)
        self.assert_done(again)
        self.assertIn(": 0 B copied to", (self.work / "again" / "log.txt").read_text())
        self.assert_same("shared", "again")

    def test_one_home_is_no_other_plan(self):
        self.assert_done(self.train("plain", ranks=2))
        self.assert_done(self.train("staged", *self.staged, ranks=2))
        self.assert_same("plain", "staged")
        self.assertIn("stage_homes = 1", (self.work / "staged" / "config.toml").read_text())

    def test_goes_on_from_another_placement_and_refuses_other_homes(self):
        begun = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                      "experiment.name=changed", *self.homes, ranks=2)
        metrics = self.work / "changed" / "metrics.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and begun.poll() is None:
            if metrics.exists() and metrics.read_text().count('"event":"step"') >= 4:
                os.kill(begun.pid, signal.SIGUSR1)
                break
            time.sleep(0.002)
        _, said = begun.communicate(timeout=60)
        self.assertEqual(begun.returncode, 75, said)
        refused = self.train("changed", "--set", "data.stage_homes=1", *self.staged, ranks=2)
        self.assertEqual(refused.code, 64, refused.err)
        self.assertIn("data.stage_homes was 2 and is now 1", refused.err)
        self.assert_done(self.train("changed", *self.homes, *self.staged, ranks=2))
        self.assert_done(self.train("whole", *self.homes, ranks=2))
        steps = [[e for e in events(self.work / name) if e["event"] != "checkpoint"]
                 for name in ("changed", "whole")]
        self.assertEqual(*steps)
        self.assertEqual(latest_weights(self.work / "changed"), latest_weights(self.work / "whole"))

    def test_a_dry_run_says_the_sizes_and_copies_nothing(self):
        dry = self.train("dry", *self.homes, *self.staged, "--dry-run", ranks=2)
        self.assert_done(dry)
        self.assertRegex(dry.err, r"homes      2 on 1 node, copied to \S*/scratch: "
                                  r"[\d.]+ kB and [\d.]+ kB\n")
        self.assertFalse(self.scratch.exists())

    def test_what_does_not_go_together_is_refused_by_name(self):
        for settings, key in (
                (("data.stage_homes=3",), "training.batch_size_global"),
                (("data.stage_homes=4",), "training.micro_batches"),
                (("data.stage_homes=2", "training.micro_batches=1"), "training.micro_batches"),
                (("data.placement=staged", "data.stage_dir="), "data.stage_dir")):
            refused = self.train("no", *[word for s in settings for word in ("--set", s)])
            self.assertEqual(refused.code, 64, refused.err)
            self.assertIn(key, refused.err)
        nowhere = self.train("no", *self.staged, "--set", "data.stage_dir=/nowhere/at/all")
        self.assertEqual(nowhere.code, 70, nowhere.err)
        self.assertIn("data.stage_dir = /nowhere/at/all", nowhere.err)


class StagedTiles(TileStoreTest):
    def test_slides_in_parts(self):
        homes = ("--set", "data.stage_homes=2")
        scratch = self.work / "scratch"
        self.train("shared", *homes, ranks=2)
        self.train("staged", *homes, "--set", "data.placement=staged", "--set",
                   f"data.stage_dir={scratch}", ranks=2)
        self.assertEqual(events(self.work / "shared"), events(self.work / "staged"))
        self.assertEqual(latest_weights(self.work / "shared"), latest_weights(self.work / "staged"))
        read = bytes_of(self.work / "staged")
        self.assertEqual(read["read"], read["staged"])
        self.assertEqual(read["read"], bytes_of(self.work / "shared")["read"])
        # A patch group on one node reads there too.
        self.train("group", *homes, "--set", "data.placement=staged", "--set",
                   f"data.stage_dir={scratch}", "--set", "distributed.patch_group=2", ranks=4)
        read = bytes_of(self.work / "group")
        self.assertGreater(read["staged"], 0)
        self.assertEqual(read["read"], read["staged"])


class StagedFeatures(ProgramTest):
    small_run = features_test.FEATURE_RUN.replace("epochs = 20", "epochs = 2")

    @classmethod
    def make_store(cls):
        features_test.make_bags(cls.folder / "files")
        made = features_test.run("ingest", cls.folder / "files", cls.folder / "store", "--kind",
                                 "features")
        assert made.code == 0, made.err
        return cls.folder / "store"

    def test_vectors(self):
        homes = ("--set", "data.stage_homes=2")
        self.assert_done(self.train("shared", *homes, ranks=2))
        self.assert_done(self.train("staged", *homes, "--set", "data.placement=staged", "--set",
                                    f"data.stage_dir={self.work}/scratch", ranks=2))
        self.assertEqual(events(self.work / "shared"), events(self.work / "staged"))
        read = bytes_of(self.work / "staged")
        self.assertGreater(read["staged"], 0)
        self.assertEqual(read["read"], read["staged"])


def noise_png(path, side, seed):
    """A picture that no codec makes smaller."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" +
                     chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


class EndedWhileCopying(ProgramTest):
    """Pictures of 200 MB in all, so that a signal comes in time."""

    @classmethod
    def make_store(cls):
        for split, count in (("train", 14), ("val", 6)):
            for i in range(count):
                noise_png(cls.folder / "files" / split / f"class{i % 2}" / f"{i:02}.png", 1800, i)
        made = features_test.run("ingest", cls.folder / "files", cls.folder / "store")
        assert made.code == 0, made.err
        shutil.rmtree(cls.folder / "files")
        return cls.folder / "store"

    def end_while_copying(self, sign, name, scratch):
        process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                        f"experiment.name={name}", "--set", "data.placement=staged", "--set",
                        f"data.stage_dir={scratch}", "--set", "training.epochs=1")
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if any(has_data(path) for path in scratch.glob("dbps-copy-*/shard-*.h5")):
                os.kill(process.pid, sign)
                break
            time.sleep(0.002)
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    def check(self, sign, code):
        scratch = self.work / "scratch"
        name = signal.Signals(sign).name
        ended, said = self.end_while_copying(sign, name, scratch)
        self.assertEqual(ended, code, said)
        self.assertEqual(list(scratch.glob("dbps-copy-*/copied")), [], "it was ended too late")
        done = self.train(name, "--set", "data.placement=staged", "--set",
                          f"data.stage_dir={scratch}", "--set", "training.epochs=1")
        self.assert_done(done)
        found = re.search(r"staged     \S+: ([\d.]+) MB copied to \S+ in [\d.]+ s, ([\d.]+) MB were "
                          r"there", done.err)
        self.assertIsNotNone(found, done.err)
        print(f"{name} while copying: {found[2]} MB were kept and {found[1]} MB copied afterwards")
        self.assertGreater(float(found[1]), 10)
        self.assertGreater(float(found[2]), 1)
        self.assert_done(self.train("plain", "--set", "training.epochs=1"))
        self.assertEqual(events(self.work / name), events(self.work / "plain"))

    def test_killed(self):
        self.check(signal.SIGKILL, -signal.SIGKILL)

    def test_stopped(self):
        self.check(signal.SIGUSR1, 75)


def has_data(path):
    """Whether anything was written there; room that was only taken is a hole."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.lseek(file, 0, os.SEEK_DATA)
        return True
    except OSError:
        return False
    finally:
        os.close(file)


if __name__ == "__main__":
    unittest.main()

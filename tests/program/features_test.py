"""Feature vectors from files of other tools to predictions, beside numpy, h5py and safetensors."""

import json
import os
import signal
import time
import unittest

import h5py
import numpy
import safetensors.numpy

from group_test import EXACT, SameRuns
from harness import ProgramTest, events, latest_weights, printed_by_example, run, start

WIDTH = 24

FEATURE_RUN = """
[experiment]
name = "features"
[data]
store = "{store}"
[drop]
ratio = 0.1
[selection]
method = "dbps"
salient = 6
sub_salient = 8
scan_patches = 16
shuffle = "image"
[encoder]
kind = "features"
width = 32
[aggregator]
heads = 4
key_width = 8
value_width = 8
mlp_width = 64
attention_dropout = 0.0
dropout = 0.0
[[task]]
name = "label"
[optimizer]
learning_rate = 1e-2
warmup_epochs = 1
[training]
epochs = 20
batch_size_global = 8
micro_batches = 2
[distributed]
threads = 1
device = "cpu"
check_every = 2
"""


def numbers(seed, rows=9, width=WIDTH):
    return numpy.random.default_rng(seed).standard_normal((rows, width)).astype(numpy.float32)


def make_bags(folder, seed=1):
    """Three classes: in each bag of 1 to 60 vectors a few of one class's direction, all else noise."""
    random = numpy.random.default_rng(seed)
    directions = numpy.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0][:3]
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        for i in range(count):
            label = i % 3
            rows = 2 if i == 7 else int(random.integers(12, 60))
            bag = random.standard_normal((rows, WIDTH))
            decisive = random.choice(rows, size=min(rows, 3), replace=False)
            bag[decisive] += 6 * directions[label]
            path = folder / split / f"class{label}" / f"{i:03}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            numpy.save(path, bag.astype(numpy.float32))


class Ingest(ProgramTest):
    def ingest(self, *more, code=0, store="out"):
        result = run("ingest", self.work / "files", self.work / store, "--kind", "features", "--json",
                     *more)
        self.assertEqual(result.code, code, result.err)
        return json.loads(result.out) if result.out else {}, result.err

    def setUp(self):
        super().setUp()
        self.files = self.work / "files"
        self.files.mkdir()

    def read_back(self, store="out"):
        """{id: vectors} by h5py alone."""
        bags = {}
        for path in sorted((self.work / store).glob("shard-*.h5")):
            with h5py.File(path) as shard:
                for i, name in enumerate(shard["bags/id"][:].astype(str)):
                    first = shard["bags/first_tile"][i]
                    bags[name] = shard["features"][first:first + shard["bags/tile_count"][i]]
        return bags

    def make_all_kinds(self):
        expected = {name: numbers(i, rows=5 + i) for i, name in enumerate(
            ("a", "b", "c", "clam", "trident", "chunked", "one", "many/x", "many/y"))}
        numpy.save(self.files / "a.npy", expected["a"])
        numpy.save(self.files / "b.npy", expected["b"][None].astype(numpy.float16))
        numpy.save(self.files / "c.npy", expected["c"].astype(numpy.float64))
        expected["b"] = expected["b"].astype(numpy.float16).astype(numpy.float32)
        with h5py.File(self.files / "clam.h5", "w") as file:
            file["features"] = expected["clam"]
            file["coords"] = numpy.arange(2 * len(expected["clam"])).reshape(-1, 2) * 256
        with h5py.File(self.files / "trident.h5", "w") as file:
            file["features"] = expected["trident"][None]
            file["coords"] = numpy.zeros((0, 2), numpy.int64)
        with h5py.File(self.files / "chunked.hdf5", "w") as file:
            file.create_dataset("features", data=expected["chunked"], chunks=(1, WIDTH),
                                maxshape=(None, WIDTH), compression="gzip")
        safetensors.numpy.save_file({"features": expected["one"], "other": numpy.zeros(3)},
                                    self.files / "one.safetensors")
        safetensors.numpy.save_file({"x": expected["many/x"], "y": expected["many/y"]},
                                    self.files / "many.safetensors")
        return expected

    def test_every_kind_of_file_comes_back_bit_for_bit(self):
        expected = self.make_all_kinds()
        summary, _ = self.ingest()
        self.assertEqual(summary["kept"], 9)
        self.assertEqual(summary["modes"], {"float16, converted to float32": 1,
                                            "float64, converted to float32": 1})
        stored = self.read_back()
        self.assertEqual(set(stored), set(expected))
        for name, vectors in expected.items():
            self.assertEqual(stored[name].dtype, numpy.float32)
            self.assertTrue(numpy.array_equal(stored[name], vectors), name)
        self.assertEqual(run("verify", self.work / "out").code, 0)
        told = json.loads(run("inspect", self.work / "out", "--json").out)
        self.assertEqual((told["kind"], told["width"], told["type"]), ("features", WIDTH, "float32"))
        self.assertEqual(told["vectors"], {"min": 5, "median": 9, "max": 13})
        again, _ = self.ingest()
        self.assertEqual((again["kept"], again["skipped"]), (0, 9))

    def test_halves_stay_halves_and_take_no_floats(self):
        for name in "ab":
            numpy.save(self.files / f"{name}.npy", numbers(ord(name)).astype(numpy.float16))
        self.ingest()
        self.assertEqual(self.read_back()["a"].dtype, numpy.float16)
        self.assertTrue(numpy.array_equal(self.read_back()["a"],
                                          numbers(ord("a")).astype(numpy.float16)))
        numpy.save(self.files / "c.npy", numbers(3))
        summary, _ = self.ingest()
        self.assertIn("rounded", summary["failed"][0]["reason"])

    def test_the_example_of_pictures_in_the_documentation_runs(self):
        lines = printed_by_example("print(ids[bag], Image", self.store)
        self.assertEqual(len(lines), 48)
        self.assertTrue(all(line.endswith(" (128, 128)") for line in lines), lines)
        self.assertTrue(lines[0].startswith("test/"), lines[0])

    def test_the_example_in_the_documentation_runs(self):
        self.make_all_kinds()
        self.ingest()
        lines = printed_by_example("features", self.work / "out")
        self.assertEqual(len(lines), 9)
        self.assertIn(f"clam (8, {WIDTH}) float32 3584 3840", "\n".join(lines))

    def test_what_cannot_be_used_is_named_and_left_out(self):
        def raw(name, header, body=b"\0" * 4 * WIDTH):
            head = header.encode().ljust(118, b" ")
            (self.files / name).write_bytes(
                b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body)

        numpy.save(self.files / "good.npy", numbers(1))
        numpy.save(self.files / "good2.npy", numbers(2))
        numpy.save(self.files / "wide.npy", numbers(1, width=2 * WIDTH))
        for name, value in (("nan", numpy.nan), ("inf", -numpy.inf)):
            bad = numbers(1)
            bad[4, 7] = value
            numpy.save(self.files / f"{name}.npy", bad)
        numpy.save(self.files / "huge.npy", numbers(1).astype(numpy.float64) * 1e300)
        numpy.save(self.files / "empty.npy", numbers(1, rows=0))
        numpy.save(self.files / "flat.npy", numbers(1)[0])
        numpy.save(self.files / "whole.npy", numbers(1).astype(numpy.int32))
        numpy.save(self.files / "columns.npy", numpy.asfortranarray(numbers(1)))
        numpy.save(self.files / "objects.npy", numpy.array([{}, {}], dtype=object))
        (self.files / "short.npy").write_bytes((self.files / "good.npy").read_bytes()[:-5])
        (self.files / "none.npy").write_bytes(b"")
        touched = self.work / "touched"
        raw("evil1.npy", f"{{'descr': __import__('os').system('touch {touched}'), "
                         f"'fortran_order': False, 'shape': (1, {WIDTH}), }}")
        raw("evil2.npy", f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, -{WIDTH}), }}")
        raw("evil3.npy", "{'descr': '<f4', 'fortran_order': False, "
                         "'shape': (9223372036854775807, 24), }")
        raw("evil4.npy", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 24)}")
        raw("evil5.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 24), } + 1")
        raw("evil6.npy", "[" * 100)
        with h5py.File(self.files / "names.h5", "w") as file:
            file["feats"] = numbers(1)
        with h5py.File(self.files / "coords.h5", "w") as file:
            file["features"] = numbers(1)
            file["coords"] = numpy.zeros((3, 2))
        with h5py.File(self.files / "elsewhere.h5", "w") as file:
            file["features"] = h5py.ExternalLink("coords.h5", "features")
        (self.files / "torn.h5").write_bytes((self.files / "coords.h5").read_bytes()[:900])
        (self.files / "torn.safetensors").write_bytes(b"\xff" * 40)
        summary, _ = self.ingest()
        self.assertEqual(summary["kept"], 2)
        reasons = {os.path.basename(f["path"]): f["reason"] for f in summary["failed"]}
        self.assertEqual(len(reasons), len(list(self.files.iterdir())) - 2)
        for name, words in {"wide.npy": "vectors of 48 numbers, but the store's have 24",
                            "nan.npy": "row 4, column 7", "inf.npy": "row 4, column 7",
                            "huge.npy": "row 0, column 0", "empty.npy": "0 rows",
                            "flat.npy": "(24)", "whole.npy": "'<i4'", "columns.npy": "column by",
                            "objects.npy": "", "short.npy": "truncated",
                            "names.h5": "'features', but feats", "coords.h5": "(3, 2)",
                            "elsewhere.h5": "features"}.items():
            self.assertIn(words, reasons[name])
        for name, reason in reasons.items():
            self.assertIn(name, reason)
            self.assertNotIn("\n", reason)
        self.assertFalse(touched.exists())
        self.assertTrue((self.work / "out" / "failed.csv").exists())
        _, err = self.ingest("--strict", code=65)
        self.assertIn("failed", err)
        for name in ("good.npy", "good2.npy", "wide.npy"):
            (self.files / name).unlink()
        self.ingest(code=65, store="nothing")

    def test_a_flipped_bit_is_found_and_mended(self):
        numpy.save(self.files / "a.npy", numbers(1))
        numpy.save(self.files / "b.npy", numbers(2))
        self.ingest()
        shard = self.work / "out" / "shard-00000.h5"
        content = bytearray(shard.read_bytes())
        content[content.index(numbers(2)[3].tobytes()) + 5] ^= 4
        shard.write_bytes(content)
        found = run("verify", self.work / "out", "--json")
        self.assertEqual(found.code, 65)
        self.assertEqual([d["bag"] for d in json.loads(found.out)["damages"]], ["b"])
        summary, _ = self.ingest()
        self.assertEqual((summary["kept"], summary["skipped"]), (1, 1))
        self.assertEqual(run("verify", self.work / "out").code, 0)

    def test_a_killed_ingest_goes_on(self):
        for i in range(40):
            numpy.save(self.files / f"{i:02}.npy", numbers(i, rows=4000))
        process = start("ingest", self.files, self.work / "out", "--kind", "features", "--jobs", 1,
                        "--shard-size", "1MB")
        deadline = time.time() + 20
        while time.time() < deadline and not list(self.work.glob("out/shard-00002.*")):
            time.sleep(0.001)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL, "it was done too early")
        summary, _ = self.ingest("--shard-size", "1MB")
        self.assertGreater(summary["skipped"], 0)
        self.assertGreater(summary["kept"], 0)
        stored = self.read_back()
        for i in range(40):
            self.assertTrue(numpy.array_equal(stored[f"{i:02}"], numbers(i, rows=4000)))


class Training(SameRuns, ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_bags(cls.folder / "bags")
        cls.vectors = cls.folder / "vectors"
        made = run("ingest", cls.folder / "bags", cls.vectors, "--kind", "features")
        assert made.code == 0, made.err

    def setUp(self):
        super().setUp()
        self.config.write_text(FEATURE_RUN.format(store=self.vectors))

    def test_a_few_vectors_decide_and_are_found(self):
        rehearsed = self.train("plan", "--dry-run")
        self.assert_done(rehearsed)
        self.assertIn(f"N = 2 to 59 of {WIDTH} numbers", rehearsed.err)
        self.assert_done(self.train("run"))
        folder = self.work / "run"
        self.assertIn(f"width_in = {WIDTH}", (folder / "config.toml").read_text())
        self.assertTrue((folder / "report.html").exists())
        self.assertFalse((folder / "maps").exists())
        evaluated = run("eval", folder, "--json")
        self.assert_done(evaluated)
        accuracy = json.loads(evaluated.out)["tasks"]["label"]["accuracy"]
        self.assertGreater(accuracy, 0.75)  # by chance 0.33

        of_store = run("predict", folder, self.vectors)
        self.assert_done(of_store)
        lines = {line["id"]: line for line in map(json.loads, of_store.out.splitlines())}
        self.assertEqual(len(lines), 96)
        two = lines["train/class1/007"]
        self.assertEqual(sorted(p["index"] for p in two["salient"]), [0, 1])
        self.assertEqual(two["sub_salient"], [])
        source = self.folder / "bags" / "test" / "class2" / "002.npy"
        stored = lines["test/class2/002"]
        for patch in stored["salient"]:
            self.assertEqual((patch["x"], patch["y"]), (patch["index"], 0))
        copy = self.work / "copy.h5"
        places = numpy.stack([numpy.arange(60), numpy.arange(60) * 256], axis=1)
        with h5py.File(copy, "w") as file:
            file["features"] = numpy.load(source)
            file["coords"] = places[:len(numpy.load(source))]
        of_files = run("predict", folder, source, copy)
        self.assert_done(of_files)
        plain, placed = map(json.loads, of_files.out.splitlines())
        for key in ("tasks", "salient", "sub_salient"):
            self.assertEqual(plain[key], stored[key])
        self.assertEqual(placed["tasks"], stored["tasks"])
        self.assertEqual([p["y"] for p in placed["salient"]],
                         [256 * p["index"] for p in stored["salient"]])

        wide = self.work / "wide.npy"
        numpy.save(wide, numbers(1, width=7))
        refused = run("predict", folder, wide, source)
        self.assertEqual(refused.code, 65)
        self.assertIn(f"vectors of 7 numbers, but the model reads {WIDTH}",
                      json.loads(refused.out.splitlines()[0])["error"])

    def test_of_a_group_each_rank_reads_its_part(self):
        settings = (*EXACT, "--set", "selection.ranking=global", "--set", "training.epochs=2")
        bytes_of = {}
        for name, size, ranks in (("one", 1, 0), ("two", 2, 4), ("four", 4, 4)):
            self.assert_done(self.train(name, *settings, "--set", f"distributed.patch_group={size}",
                                        ranks=ranks))
            lines = (self.work / name / "metrics.jsonl").read_text().splitlines()
            steps = [e["bytes"] for e in map(json.loads, lines) if e["event"] == "step"]
            bytes_of[size] = [(step["read"], step["exchanged"]) for step in steps]
        self.assert_same_run("one", "two")
        self.assert_same_run("one", "four")
        for size in (2, 4):
            for (read, exchanged), (alone, nothing) in zip(bytes_of[size], bytes_of[1], strict=True):
                self.assertGreater(read, 0)
                self.assertEqual((read, nothing), (alone, 0))
                # Of 8 bags at most 6 vectors each, which every rank gives into a sum.
                self.assertGreater(exchanged, 0)
                self.assertLessEqual(exchanged, size * 8 * 6 * WIDTH * 4)

    def test_ranks_and_a_kill_give_the_same_bits(self):
        self.assert_done(self.train("whole"))
        self.assert_done(self.train("two", ranks=2))
        self.assertEqual(events(self.work / "whole"), events(self.work / "two"))
        self.assertEqual(latest_weights(self.work / "whole"), latest_weights(self.work / "two"))
        process = start("train", self.config, "--set", f"experiment.output={self.work}", "--set",
                        "experiment.name=killed", "--set", "checkpoint.every_steps=1")
        metrics = self.work / "killed" / "metrics.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if metrics.exists() and metrics.read_text().count('"event":"step"') >= 8:
                break
            time.sleep(0.002)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL, "it was done too early")
        self.assert_done(self.train("killed", "--set", "checkpoint.every_steps=1"))
        self.assertEqual(latest_weights(self.work / "whole"), latest_weights(self.work / "killed"))

    def test_what_does_not_go_together_is_one_line(self):
        for settings, code, words in (
                ([f"data.store={self.store}"], 64, "holds images"),
                (["encoder.kind=tiny", "data.height=128", "data.width=128", "data.patch_size=32"],
                 64, "holds features"),
                (["encoder.features.width_in=7"], 64, "holds vectors of 24"),
                (["augment.translate=10"], 64, "augment.translate = 10 says something of pixels"),
                (["selection.method=whole", "selection.salient=0", "selection.sub_salient=0"], 64,
                 "selection.method")):
            words_set = [word for s in settings for word in ("--set", s)]
            result = self.train("refused", "--dry-run", *words_set)
            self.assertEqual(result.code, code, result.err)
            self.assertIn(words, result.err)
            self.assertEqual(len([line for line in result.err.splitlines()
                                  if line.startswith("error")]), 1, result.err)


if __name__ == "__main__":
    unittest.main()

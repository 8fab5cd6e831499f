"""Megapixel MNIST on small pictures: made, ingested as grey, trained with its own configuration."""

import csv
import json
import pathlib
import shutil
import tempfile
import unittest

from harness import ROOT, run

CONFIG = ROOT / "configs" / "megapixel_mnist.toml"
TASKS = ["majority", "maximum", "top", "multi"]
# 4 x 4 patches of 50 pixels, two steps of 16.
SMALL = ["data.height=200", "data.width=200", "selection.salient=4", "selection.scan_patches=6",
         "training.epochs=1", "optimizer.warmup_epochs=0", "distributed.threads=1",
         "distributed.device=cpu", "report.maps_per_epoch=1"]


class MegapixelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-megapixel-"))
        made = run("make-demo", cls.folder / "mega", "--megapixel-mnist", "--canvas", 200,
                   "--train", 32, "--validation", 8, "--test", 8, "--json")
        assert made.code == 0, made.err
        cls.made = json.loads(made.out)
        cls.store = cls.folder / "mega" / "store"

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_store_is_grey_and_labelled(self):
        self.assertEqual(self.made["kept"], 48)
        store = json.loads(run("inspect", self.store, "--json").out)
        self.assertEqual(store["channels"], 1)
        self.assertEqual(store["bags"], 48)
        with (self.store / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0]), ["id", *TASKS, "split"])
        for row in rows:
            present = row["multi"].split(";")
            self.assertIn(row["majority"], present)
            self.assertIn(row["top"], present)
            self.assertEqual(row["maximum"], max(present))
            self.assertTrue(row["id"].startswith(row["split"] + "/"))

    def test_trains_four_tasks_and_predicts(self):
        settings = [f"data.store={self.store}", f"experiment.output={self.folder}",
                    "experiment.name=run", *SMALL]
        words = [word for setting in settings for word in ("--set", setting)]
        trained = run("train", CONFIG, *words)
        self.assertEqual(trained.code, 0, trained.err)
        evaluated = run("eval", self.folder / "run", "--split", "test", "--json")
        self.assertEqual(evaluated.code, 0, evaluated.err)
        for task in TASKS:
            self.assertIn(task, evaluated.out)
        picture = self.folder / "mega" / "pictures" / "test" / "00003.png"
        predicted = run("predict", self.folder / "run", picture, "--maps", self.folder / "maps")
        self.assertEqual(predicted.code, 0, predicted.err)
        line = json.loads(predicted.out)
        for task in TASKS:
            self.assertIn(task, json.dumps(line))
        self.assertEqual(len(list((self.folder / "maps").iterdir())), 1)

    def test_options_that_do_not_go_together(self):
        where = self.folder / "refused"
        for words in (["--megapixel-mnist", "--patch", 16], ["--idx", self.folder],
                      ["--megapixel-mnist", "--question", "lone"],
                      ["--megapixel-mnist", "--idx", self.folder],
                      ["--megapixel-mnist", "--canvas", 100],
                      ["--question", "lone", "--digits", 4, 5], ["--question", "few"]):
            with self.subTest(words=words):
                refused = run("make-demo", where, *words)
                self.assertEqual(refused.code, 64, refused.err)
                self.assertEqual(refused.err.count("\n"), 1, refused.err)
                self.assertFalse(where.exists())

    def test_lone_question(self):
        made = run("make-demo", self.folder / "lone", "--question", "lone", "--canvas", 128,
                   "--train", 10, "--validation", 5, "--test", 5, "--distractors", 6, 15)
        self.assertEqual(made.code, 0, made.err)
        self.assertEqual(len(list((self.folder / "lone" / "pictures").rglob("*.png"))), 20)


if __name__ == "__main__":
    unittest.main()

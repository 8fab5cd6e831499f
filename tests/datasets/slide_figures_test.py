"""datasets/demo/slide_figures.py on small demo slides, beside scikit-learn and Pillow."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy
from PIL import Image, ImageDraw
from sklearn.metrics import roc_auc_score

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "datasets" / "demo" / "slide_figures.py"
PROGRAM = os.environ["DBPS_PROGRAM"]
CANVAS = 2048
TILE = 256  # at level 0


class SlideFigures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name) / "demo"
        subprocess.run([PROGRAM, "make-demo", cls.folder, "--slides", "--canvas", str(CANVAS),
                        "--train", "2", "--validation", "0", "--test", "6"], check=True,
                       capture_output=True)
        with open(cls.folder / "labels.csv", encoding="utf-8") as file:
            cls.labels = {row["id"]: row for row in csv.DictReader(file)}
        with h5py.File(cls.folder / "store" / "shard-00000.h5") as shard:
            places = numpy.stack([shard["tiles/x"][:], shard["tiles/y"][:]], axis=1)
            cls.places = {name: places[first:first + count] for name, first, count in
                          zip(shard["bags/id"].asstr(), shard["bags/first_tile"],
                              shard["bags/tile_count"])}

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def touching(self):
        """{id: which tiles touch a lesion}, by painting all of them."""
        canvas = {}
        with open(self.folder / "lesions.csv", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
                image = canvas.setdefault(row["id"], Image.new("1", (CANVAS, CANVAS)))
                ImageDraw.Draw(image).ellipse((x, y, x + width - 1, y + height - 1), fill=1)
        return {name: [bool(numpy.asarray(image)[y:y + TILE, x:x + TILE].any())
                       for x, y in self.places[name]] for name, image in canvas.items()}

    def write(self, probabilities, chosen):
        path = self.folder / "predictions.jsonl"
        path.write_text("".join(json.dumps({
            "id": name, "tasks": {"label": {"probabilities": {"tumor": p, "normal": 1 - p}}},
            "salient": [{"index": int(i)} for i in chosen.get(name, [0])]}) + "\n"
            for name, p in probabilities.items()))
        return path

    def figures(self, *arguments, code=0):
        done = subprocess.run([sys.executable, SCRIPT, self.folder, *arguments],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def test_figures_of_the_test_split_alone(self):
        touching = self.touching()
        random = numpy.random.default_rng(3)
        chosen = {name: random.permutation(len(of))[:3] for name, of in touching.items()}
        for name, of in touching.items():
            chosen[name][0] = of.index(True)
        probabilities = dict(zip(self.labels, (0.9, 0.1, 0.4, 0.4, 0.2, 0.7, 0.6, 0.5)))
        tested = [name for name in self.labels if self.labels[name]["split"] == "test"]
        self.assertEqual(len(tested), 6)
        auc = roc_auc_score([self.labels[name]["label"] == "tumor" for name in tested],
                            [probabilities[name] for name in tested])
        ill = [name for name in tested if name in touching]
        self.assertEqual(len(ill), 3)
        hits = sum(touching[name][i] for name in ill for i in chosen[name][:2])
        printed = self.figures(self.write(probabilities, chosen), "--top", "2")
        self.assertIn(f"6 slides of split test: AUC {auc:.4f}\n", printed)
        self.assertIn(f"3 slides: {hits} of their 6 best tiles touch a lesion", printed)

    def test_a_slide_that_was_not_predicted_is_named(self):
        path = self.write({name: 0.5 for name in list(self.labels)[:-1]}, {})
        self.assertIn("has no line of slide-007", self.figures(path, code=65))
        path.write_text('{"id": "slide-002"}\n')
        self.assertIn("predictions.jsonl:1: no line of `dbps predict`",
                      self.figures(path, code=65))


if __name__ == "__main__":
    unittest.main()

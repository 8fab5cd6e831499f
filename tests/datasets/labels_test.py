"""The scripts of datasets/ on small made-up trees that have each data set's layout.

Published counts cannot hold there: a script's constants are replaced to see that right counts pass.
"""

import contextlib
import csv
import hashlib
import importlib.util
import io
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import zlib

DATASETS = pathlib.Path(__file__).resolve().parents[2] / "datasets"
PROGRAM = os.environ["DBPS_PROGRAM"]


def png():
    """One grey pixel."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
            chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b""))


def load(name):
    path = DATASETS / name / "make_labels.py"
    spec = importlib.util.spec_from_file_location(f"{name}_labels", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LabelsTest(unittest.TestCase):
    """`name` is the data set's folder; `add` and `write` fill self.root."""

    name = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "data"

    def add(self, *paths):
        for path in paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png())

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run_script(self, *arguments, **constants):
        """(exit status, standard error), with the script's constants replaced."""
        script = load(self.name)
        argv = [str(DATASETS / self.name / "make_labels.py"), str(self.root), *arguments]
        errors = io.StringIO()
        with contextlib.ExitStack() as stack:
            for key, value in constants.items():
                stack.enter_context(unittest.mock.patch.object(script, key, value))
            stack.enter_context(unittest.mock.patch.object(sys, "argv", argv))
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(errors))
            try:
                status = script.main()
            except SystemExit as end:
                status = end.code
        return status, errors.getvalue()

    def refusal(self, *arguments):
        """The one line of a run that ends with 65 and writes nothing."""
        status, errors = self.run_script(*arguments)
        self.assertEqual(status, 65, errors)
        self.assertEqual(errors.count("\n"), 1, errors)
        self.assertFalse((self.root / "labels.csv").exists())
        return errors

    def rows(self, *arguments):
        """{id: (columns after path)}; every path leads to a file."""
        status, errors = self.run_script("--any-count", *arguments)
        self.assertEqual(status, 0, errors)
        table = self.root / "labels.csv"
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.assertEqual(rows[0][:2], ["id", "path"])
        for row in rows[1:]:
            self.assertTrue((table.parent / row[1]).is_file(), row)
        self.columns = rows[0][2:]
        self.assertEqual(len({row[0] for row in rows}), len(rows))
        return {row[0]: tuple(row[2:]) for row in rows[1:]}

    def passes(self, **constants):
        """Whether the script takes the tree when these are the published counts."""
        status, errors = self.run_script(**constants)
        self.assertEqual(bool(errors), status != 0)
        return status == 0

    def ingested(self):
        """labels.csv of the store that dbps makes of the script's."""
        store = self.root.parent / "store"
        subprocess.run([PROGRAM, "ingest", self.root / "labels.csv", store, "--strict", "-q"],
                       check=True, capture_output=True)
        with (store / "labels.csv").open(newline="", encoding="utf-8") as file:
            return {row[0]: tuple(row[1:]) for row in list(csv.reader(file))[1:]}


class CquBpdd(LabelsTest):
    name = "cqu_bpdd"

    def setUp(self):
        super().setUp()
        self.add("train/crack/1.jpg", "train/repair/2.jpg", "train/normal/3.jpg",
                 "test/massive_crack/4.jpg", "test/normal/5.jpg")

    def test_labels_distress_and_knows_both_names(self):
        rows = self.rows()
        self.assertEqual(rows, {"train/crack/1": ("alligator_crack", "train"),
                                "train/repair/2": ("repair", "train"),
                                "test/massive_crack/4": ("massive_crack", "test")})
        self.assertEqual(self.ingested(), rows)
        self.assertEqual(len(self.rows("--with-normal")), 5)

    def test_counts(self):
        self.assertIn("train alligator_crack: 1, not 424", self.refusal())
        self.assertIn("pictures in all: 5, not 60059", self.refusal())
        counts = {"alligator_crack": 1, "repair": 1, "normal": 1, "massive_crack": 0}
        self.assertTrue(self.passes(TRAIN=counts, TOTAL=5))
        self.assertFalse(self.passes(TRAIN=counts, TOTAL=6))
        self.assertFalse(self.passes(TRAIN=dict(counts, repair=2), TOTAL=5))

    def test_unknown_class_and_two_test_sets(self):
        self.add("train/pothole/6.jpg")
        self.assertIn("pothole is none of the classes", self.refusal("--any-count"))
        self.add("val/repair/7.jpg")
        self.assertIn("holds both test and val", self.refusal("--any-count"))


class Fmow(LabelsTest):
    name = "fmow"

    def setUp(self):
        super().setUp()
        self.add("train/airport/airport_0/airport_0_0_rgb.jpg",
                 "train/airport/airport_0/airport_0_1_rgb.jpg",
                 "train/airport/airport_0/airport_0_1_msrgb.jpg",
                 "train/dam/dam_3/dam_3_0_rgb.jpg", "train/zoo/zoo_1/zoo_1_0_rgb.jpg",
                 "val/airport/airport_0/airport_0_0_rgb.jpg", "val/dam/dam_1/dam_1_0_rgb.jpg",
                 "val/zoo/zoo_1/zoo_1_0_rgb.jpg")

    def test_places_are_patients(self):
        rows = self.rows("--classes", "airport", "dam")
        self.assertEqual(self.columns, ["label", "split", "patient"])
        self.assertEqual(rows, {
            "train/airport/airport_0/airport_0_0_rgb": ("airport", "train", "train/airport_0"),
            "train/airport/airport_0/airport_0_1_rgb": ("airport", "train", "train/airport_0"),
            "train/dam/dam_3/dam_3_0_rgb": ("dam", "train", "train/dam_3"),
            "val/airport/airport_0/airport_0_0_rgb": ("airport", "test", "val/airport_0"),
            "val/dam/dam_1/dam_1_0_rgb": ("dam", "test", "val/dam_1")})
        self.assertEqual(self.ingested(), rows)

    def test_counts_and_names(self):
        said = self.refusal("--classes", "airport", "dam")
        self.assertIn("train classes: 3, not 62", said)
        self.assertIn("named classes: 2, not 10", said)
        self.assertIn("has no class damn", self.refusal("--any-count", "--classes", "damn"))
        self.assertEqual(self.run_script()[0], 2)


class Ddr(LabelsTest):
    name = "ddr"

    def setUp(self):
        super().setUp()
        self.add("train/007-0004-000.jpg", "train/007-0005-000.jpg", "valid/a.jpg", "test/b.jpg")
        self.write("train.txt", "007-0004-000.jpg 0\n007-0005-000.jpg 5\n")
        self.write("valid.txt", "a.jpg 4\r\n")
        self.write("test.txt", "b.jpg 2\n\n")

    def test_leaves_out_what_cannot_be_graded(self):
        rows = self.rows()
        self.assertEqual(rows, {"train/007-0004-000": ("0", "train"),
                                "valid/a": ("4", "validation"),
                                "test/b": ("2", "test")})
        self.assertEqual(self.ingested(), rows)
        self.assertEqual(self.rows("--with-ungradable")["train/007-0005-000"], ("5", "train"))

    def test_counts(self):
        self.assertIn("split train: 2, not 6835", self.refusal())
        self.assertIn("grade 5: 1, not 1151", self.refusal())
        pictures = {"train": 2, "validation": 1, "test": 1}
        grades = {"0": 1, "1": 0, "2": 1, "3": 0, "4": 1, "5": 1}
        self.assertTrue(self.passes(PICTURES=pictures, GRADES=grades))
        self.assertFalse(self.passes(PICTURES=pictures, GRADES=dict(grades, **{"3": 1})))

    def test_lines_that_say_nothing(self):
        self.write("valid.txt", "a.jpg 6\n")
        self.assertIn("valid.txt:1: 'a.jpg 6' is no picture with a grade",
                      self.refusal("--any-count"))
        self.write("valid.txt", "a.jpg 4\nlost.jpg 1\n")
        self.assertIn("lost.jpg is not there", self.refusal("--any-count"))
        (self.root / "valid.txt").unlink()
        self.assertIn("valid.txt is not there", self.refusal("--any-count"))


class Mame(LabelsTest):
    name = "mame"

    def setUp(self):
        super().setUp()
        self.add("data/1.jpg", "data/2.jpg", "data/3.jpg")
        self.write("MAMe_metadata/MAMe_dataset.csv",
                   "Image file,Medium,Museum,Subset,Width\n1.jpg,Bronze,Met,train,9\n"
                   '2.jpg,"Oil on canvas",Met,val,9\n3.jpg,Bronze,LACMA,test,9\n')

    def test_labels(self):
        rows = self.rows()
        self.assertEqual(rows, {"data/1": ("Bronze", "train"),
                                "data/2": ("Oil on canvas", "validation"),
                                "data/3": ("Bronze", "test")})
        self.assertEqual(self.ingested(), rows)

    def test_counts(self):
        said = self.refusal()
        self.assertIn("split train: 1, not 20300", said)
        self.assertIn("media in all: 2, not 29", said)
        self.assertIn("pictures of train Bronze: 1, not 700", said)
        pictures = {"train": 1, "validation": 1, "test": 1}
        self.assertTrue(self.passes(PICTURES=pictures, CLASSES=2, A_CLASS={}))
        self.assertFalse(self.passes(PICTURES=pictures, CLASSES=2, A_CLASS={"train": 1}))

    def test_wrong_metadata(self):
        self.write("MAMe_metadata/MAMe_dataset.csv", "Image,Medium,Subset\n1.jpg,Bronze,train\n")
        self.assertIn("has no column 'Image file'", self.refusal("--any-count"))
        self.write("MAMe_metadata/MAMe_dataset.csv", "Image file,Medium,Subset\n9.jpg,Bronze,val\n")
        self.assertIn("9.jpg is not there", self.refusal("--any-count"))
        self.write("MAMe_metadata/MAMe_dataset.csv", "Image file,Medium,Subset\n1.jpg,Bronze,toy\n")
        self.assertIn("subset 'toy' is not known", self.refusal("--any-count"))


class TrafficSigns(LabelsTest):
    name = "traffic_signs"

    def setUp(self):
        super().setUp()
        self.add("Set1/Set1Part0/1.jpg", "Set1/Set1Part0/2.jpg", "Set1/Set1Part0/3.jpg",
                 "Set1/Set1Part0/4.jpg", "Set1/Set1Part0/5.jpg", "Set2/6.jpg")
        place = "437.1, 466.8, 421.9, 393.9"
        self.write("Set1/annotations.txt", "\n".join([
            f"1.jpg:VISIBLE, {place}, PROHIBITORY, 80_SIGN;",
            "2.jpg:",
            f"3.jpg:VISIBLE, {place}, INFORMATION, PEDESTRIAN_CROSSING;"
            f"VISIBLE, {place}, PROHIBITORY, 50_SIGN;VISIBLE, {place}, PROHIBITORY, 70_SIGN;",
            f"4.jpg:BLURRED, {place}, PROHIBITORY, 70_SIGN;",
            "5.jpg:MISC_SIGNS;"]))
        self.write("Set2/annotations.txt", f"6.jpg:VISIBLE, {place}, PROHIBITORY, 70_SIGN;\n")

    def test_first_visible_limit_decides(self):
        rows = self.rows()
        self.assertEqual(rows, {"Set1/Set1Part0/1": ("80", "train"),
                                "Set1/Set1Part0/2": ("none", "train"),
                                "Set1/Set1Part0/3": ("50", "train"),
                                "Set1/Set1Part0/5": ("none", "train"), "Set2/6": ("70", "test")})
        self.assertEqual(self.ingested(), rows)

    def test_counts(self):
        said = self.refusal()
        self.assertIn("split train: 4, not 747", said)
        self.assertIn("annotations.txt is not the published file", said)
        sums = {name: hashlib.md5((self.root / name / "annotations.txt").read_bytes()).hexdigest()
                for name in ("Set1", "Set2")}
        self.assertTrue(self.passes(PICTURES={"train": 4, "test": 1}, ANNOTATIONS_MD5=sums))
        self.assertFalse(self.passes(PICTURES={"train": 4, "test": 2}, ANNOTATIONS_MD5=sums))

    def test_lines_that_are_no_annotation(self):
        self.write("Set2/annotations.txt", "6.jpg\n")
        self.assertIn("annotations.txt:1: '6.jpg' names no picture", self.refusal("--any-count"))
        self.write("Set2/annotations.txt", "6.jpg:VISIBLE, 70_SIGN;\n")
        self.assertIn("is no sign of seven fields", self.refusal("--any-count"))
        self.write("Set2/annotations.txt", "7.jpg:\n")
        self.assertIn("has no picture 7.jpg", self.refusal("--any-count"))


class Camelyon16(LabelsTest):
    name = "camelyon16"
    expected = {"normal_001": ("normal", "train"), "tumor_001": ("tumor", "train"),
                "test_001": ("tumor", "test"), "test_002": ("normal", "test")}

    def setUp(self):
        super().setUp()
        self.add("training/normal/normal_001.tif", "training/tumor/tumor_001.tif",
                 "testing/images/test_001.tif", "testing/images/test_002.tif")
        self.write("testing/reference.csv", "test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n")
        self.features = self.root.parent / "features"
        self.features.mkdir()
        for slide in self.expected:
            (self.features / f"{slide}.h5").write_bytes(b"")

    def test_official_split(self):
        self.add("testing/images/test_049.tif")  # in no reference: it is a duplicate
        self.assertEqual(self.rows(), self.expected)

    def test_all_slides_in_one_folder(self):
        (self.root / "training").rename(self.root / "elsewhere")
        (self.root / "testing").rename(self.root / "evaluation")
        self.add(*(f"images/{slide}.tif" for slide in self.expected))
        self.assertEqual(self.rows(), self.expected)

    def test_features(self):
        (self.root / "training").rename(self.root / "elsewhere")
        arguments = ("--features", str(self.features), "--out", str(self.root / "labels.csv"))
        self.assertEqual(self.rows(*arguments), self.expected)
        (self.features / "test_002.h5").unlink()
        (self.root / "labels.csv").unlink()
        self.assertIn("test_002 is not there", self.refusal("--features", str(self.features)))

    def test_counts(self):
        self.assertIn("slides train normal: 1, not 159", self.refusal())
        one = {(split, label): 1 for split in ("train", "test") for label in ("normal", "tumor")}
        self.assertTrue(self.passes(SLIDES=one))
        self.assertFalse(self.passes(SLIDES={**one, ("test", "tumor"): 2}))

    def test_what_was_withdrawn(self):
        self.add("training/normal/normal_086.tif")
        two = {("train", "normal"): 2, ("train", "tumor"): 1, ("test", "normal"): 1,
               ("test", "tumor"): 1}
        self.assertFalse(self.passes(SLIDES=two))
        self.assertIn("normal_086 was withdrawn: it is tumor_111", self.refusal())
        self.add("images/normal_086.tif")
        self.assertIn("are one slide", self.refusal("--any-count"))

    def test_reference_that_says_nothing(self):
        self.write("testing/reference.csv", "test_001,Tumor\ntest_002,maybe\n")
        self.assertIn("reference.csv:2: 'test_002,maybe' says neither", self.refusal("--any-count"))


class AllScripts(unittest.TestCase):
    def test_help_and_missing_folder(self):
        for script in sorted(DATASETS.glob("*/make_labels.py")):
            with self.subTest(script=script.parent.name):
                result = subprocess.run([sys.executable, script, "--help"], capture_output=True,
                                        text=True, check=True)
                self.assertIn("--any-count", result.stdout)
                more = ["--classes", "zoo"] if script.parent.name == "fmow" else []
                result = subprocess.run([sys.executable, script, "/nowhere", *more],
                                        capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 65)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertTrue(result.stderr.startswith(f"{script.parent.name}: "), result.stderr)


del LabelsTest  # it has no tests of its own

if __name__ == "__main__":
    unittest.main()

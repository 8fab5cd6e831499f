"""Files of CLAM, TRIDENT and IPS, in and out, beside h5py code that follows their layouts."""

import csv
import json
import unittest

import h5py
import numpy
import torch

from harness import ProgramTest, run
from other_tools import clam_coordinates, save_h5, trident_coordinates

WIDTH = 24


def numbers(seed, rows=9, width=WIDTH):
    return numpy.random.default_rng(seed).standard_normal((rows, width)).astype(numpy.float32)


def grid(seed, rows, step):
    """Level-0 corners, no two alike and in no order."""
    places = numpy.random.default_rng(seed).permutation(400)[:rows]
    return numpy.stack([places % 20, places // 20], axis=1).astype(numpy.int64) * step


class Files(ProgramTest):
    def setUp(self):
        super().setUp()
        self.files = self.work / "files"
        self.files.mkdir()

    def ingest(self, *more, source=None, store="out", code=0):
        result = run("ingest", source or self.files, self.work / store, "--kind", "features",
                     "--json", *more)
        self.assertEqual(result.code, code, result.err)
        return json.loads(result.out) if result.out else {}

    def export(self, layout, store="out"):
        """{id: (datasets, attributes of coords)} of what is written, by h5py alone."""
        folder = self.work / f"{layout}-{store}"
        result = run("export", self.work / store, folder, "--layout", layout)
        self.assertEqual(result.code, 0, result.err)
        inner = folder / {"clam": "h5_files", "trident": "features"}[layout]
        self.assertIn(str(inner), result.out)
        slides = {}
        for path in sorted(inner.rglob("*")):
            if path.is_dir():
                continue
            self.assertEqual(path.suffix, ".h5")
            with h5py.File(path, "r") as file:
                name = path.relative_to(inner).with_suffix("").as_posix()
                slides[name] = ({key: file[key][:] for key in file}, dict(file["coords"].attrs))
        return inner, slides

    def fingerprint(self, store):
        told = run("inspect", self.work / store, "--json")
        self.assertEqual(told.code, 0, told.err)
        return json.loads(told.out)["fingerprint"]

    def labels(self, store="out"):
        with (self.work / store / "labels.csv").open(newline="") as file:
            return {row.pop("id"): row for row in csv.DictReader(file)}


class Clam(Files):
    def make(self):
        bags = {f"{place}slide_{i:03}": (numbers(i, 5 + i), grid(i, 5 + i, 512))
                for i, place in enumerate(("", "a/", "a/b/"))}
        for name, (features, coords) in bags.items():
            save_h5(self.files / f"{name}.h5", {"features": features, "coords": coords})
        return bags

    def test_round_trip(self):
        bags = self.make()
        self.ingest()
        folder, slides = self.export("clam")
        self.assertEqual(set(slides), set(bags))
        for name, (features, coords) in bags.items():
            sets, attributes = slides[name]
            self.assertEqual(set(sets), {"features", "coords"})
            self.assertEqual((sets["features"].dtype, sets["coords"].dtype),
                             (numpy.float32, numpy.int64))
            self.assertTrue(numpy.array_equal(sets["features"], features))
            self.assertTrue(numpy.array_equal(sets["coords"], coords))
            self.assertEqual(attributes, {"name": name.split("/")[-1]})
        self.ingest(source=folder, store="again")
        self.assertEqual(self.fingerprint("again"), self.fingerprint("out"))

    def test_it_can_be_written_again_and_grows(self):
        self.make()
        self.ingest()
        folder, slides = self.export("clam")
        _, again = self.export("clam")
        self.assertEqual(set(again), set(slides))
        with h5py.File(folder / "slide_000.h5", "a") as file:
            file["coords"].resize(99, axis=0)
            file["features"].resize(99, axis=0)

    def test_sizes_of_patches_are_kept(self):
        save_h5(self.files / "s.h5", {"features": numbers(1, 4), "coords": grid(1, 4, 1024)},
                {"coords": clam_coordinates(1, 256, 4.0, (5000, 4000))})
        self.ingest()
        _, slides = self.export("clam")
        attributes = slides["s"][1]
        self.assertEqual(attributes["patch_size"], 256)
        self.assertEqual(attributes["patch_level"], 1)
        self.assertEqual(tuple(attributes["downsample"]), (4.0, 4.0))
        _, slides = self.export("trident")
        self.assertEqual((slides["s"][1]["patch_size"], slides["s"][1]["patch_size_level0"]),
                         (256, 1024))

    def test_halves_become_floats(self):
        halves = numbers(1, 4000).astype(numpy.float16)
        save_h5(self.files / "s.h5", {"features": halves,
                                      "coords": grid(1, 400, 256).repeat(10, 0)})
        self.ingest()
        _, slides = self.export("clam")
        self.assertEqual(slides["s"][0]["features"].dtype, numpy.float32)
        self.assertTrue(numpy.array_equal(slides["s"][0]["features"], halves.astype(numpy.float32)))

    def test_what_was_written_as_json(self):
        self.make()
        self.ingest()
        told = run("export", self.work / "out", self.work / "x", "--layout", "clam", "--json")
        self.assertEqual(json.loads(told.out), {"folder": str(self.work / "x" / "h5_files"),
                                                "slides": 3, "patches": 18})

    def test_what_cannot_be_written(self):
        self.make()
        self.ingest()
        for name, words in (("excel", "clam and trident"), ("", "")):
            result = run("export", self.work / "out", self.work / "x", "--layout", name or "clam",
                         *([] if name else ["--names", "dbps"]))
            self.assertEqual(result.code, 64, result.err)
            self.assertIn(words, result.err)
        result = run("export", self.store, self.work / "x", "--layout", "clam")
        self.assertEqual(result.code, 64, result.err)
        self.assertIn("pictures", result.err)
        (self.work / "list.csv").write_text(f"id,path\n../../escaped,{self.files}/slide_000.h5\n")
        self.ingest(source=self.work / "list.csv", store="odd")
        result = run("export", self.work / "odd", self.work / "x", "--layout", "clam")
        self.assertEqual(result.code, 65, result.err)
        self.assertIn("'../../escaped'", result.err)


class Tensors(Files):
    def test_what_torch_saves(self):
        features = torch.from_numpy(numbers(1, 40))
        halves = torch.from_numpy(numbers(2, 6)).half()
        for name, tensor in (("whole", features), ("one", features[:1]), ("half", halves),
                             ("batch", features[None]), ("part", features[5:9]),
                             ("columns", torch.from_numpy(numbers(3, WIDTH, 9)).T),
                             ("dict", {"features": features}), ("ints", features.int()),
                             ("empty", features[:0])):
            torch.save(tensor, self.files / f"{name}.pt")
        (self.files / "torn.pt").write_bytes((self.files / "whole.pt").read_bytes()[:-700])
        summary = self.ingest()
        reasons = {failed["id"]: failed["reason"] for failed in summary["failed"]}
        self.assertEqual(set(reasons), {"columns", "dict", "ints", "empty", "torn"})
        for name, words in (("columns", "contiguous"), ("dict", "one tensor"), ("ints", "I32"),
                            ("empty", "0 rows")):
            self.assertIn(words, reasons[name])
        _, slides = self.export("clam")
        for name, expected in (("whole", features), ("one", features[:1]), ("batch", features),
                               ("half", halves.float()), ("part", features[5:9])):
            self.assertTrue(numpy.array_equal(slides[name][0]["features"], expected.numpy()), name)


class Trident(Files):
    def test_round_trip_with_sizes(self):
        features, coords = numbers(3, 30), grid(3, 30, 512)
        save_h5(self.files / "s.h5", {"features": features, "coords": coords},
                {"features": {"name": "s", "savetodir": "/somewhere"},
                 "coords": trident_coordinates(256, 40, 20, 9000, 8000)})
        self.ingest()
        _, slides = self.export("trident")
        sets, attributes = slides["s"]
        self.assertTrue(numpy.array_equal(sets["features"], features))
        self.assertTrue(numpy.array_equal(sets["coords"], coords))
        for key, value in (("patch_size", 256), ("patch_size_level0", 512), ("overlap", 0),
                           ("level0_width", 9000), ("level0_height", 8000), ("name", "s")):
            self.assertEqual(attributes[key], value, key)
        self.assertNotIn("target_magnification", attributes)  # no mpp is known

    def test_slides_without_tissue_are_named_and_left_out(self):
        attributes = trident_coordinates(256, 40, 20, 9000, 8000)
        save_h5(self.files / "full.h5", {"features": numbers(1), "coords": grid(1, 9, 512)},
                {"coords": attributes})
        save_h5(self.files / "empty.h5", {"features": numbers(1, 0),
                                          "coords": numpy.zeros((0, 2), numpy.int64)},
                {"coords": attributes})
        save_h5(self.files / "flat.h5", {"features": numpy.zeros((0,), numpy.float32),
                                         "coords": numpy.zeros((0, 2), numpy.int64)},
                {"coords": attributes})
        summary = self.ingest()
        self.assertEqual(summary["kept"], 1)
        reasons = {failed["id"]: failed["reason"] for failed in summary["failed"]}
        self.assertIn("0 rows", reasons["empty"])
        self.assertEqual(set(reasons), {"empty", "flat"})
        self.ingest("--strict", store="strict", code=65)

    def test_patches_of_another_size_are_not_mixed(self):
        for name, size in (("a", 256), ("b", 256)):
            save_h5(self.files / f"{name}.h5", {"features": numbers(1), "coords": grid(1, 9, 512)},
                    {"coords": trident_coordinates(size, 40, 20, 9000, 8000)})
        self.ingest()
        save_h5(self.files / "c.h5", {"features": numbers(2), "coords": grid(2, 9, 512)},
                {"coords": trident_coordinates(512, 40, 20, 9000, 8000)})
        summary = self.ingest()
        self.assertEqual((summary["kept"], summary["skipped"]), (0, 2))
        self.assertIn("patches of 512 pixels, but the store's have 256",
                      summary["failed"][0]["reason"])

    def test_sizes_that_cannot_be(self):
        for name, key, value in (("a", "patch_size", -5), ("b", "patch_size", numpy.nan),
                                 ("c", "level0_width", 1e300), ("d", "patch_size", None)):
            attributes = trident_coordinates(256, 40, 20, 9000, 8000)
            save_h5(self.files / f"{name}.h5", {"features": numbers(1), "coords": grid(1, 9, 512)},
                    {"coords": dict(attributes, **{key: value})})
        summary = self.ingest()
        self.assertEqual(summary["kept"], 1)  # 'None' is TRIDENT's word for what is not known
        for failed in summary["failed"]:
            self.assertIn("no size in pixels", failed["reason"])


class Ips(Files):
    def test_one_file_for_all_slides(self):
        bags = {}
        with h5py.File(self.files / "train.h5", "w") as file:
            for i, name in enumerate(("normal_001", "tumor_001", "tumor_002")):
                bags[name] = numbers(i, 6 + i)
                group = file.create_group(name)
                group.create_dataset("img", data=bags[name], compression="gzip", compression_opts=9)
                group.create_dataset("pos", data=numpy.arange(6 + i) * 7, compression="gzip")
                group.attrs["label"] = numpy.int64(i > 0)
            file.create_group("bare")
        self.ingest(source=self.files / "train.h5")
        self.assertEqual({name: row["label"] for name, row in self.labels().items()},
                         {"normal_001": "0", "tumor_001": "1", "tumor_002": "1"})
        _, slides = self.export("clam")
        self.assertEqual(set(slides), set(bags))
        for name, features in bags.items():
            self.assertTrue(numpy.array_equal(slides[name][0]["features"], features))
            self.assertEqual(slides[name][0]["coords"].tolist(),
                             [[7 * i, 0] for i in range(len(features))])
        self.ingest(store="folder")
        self.assertEqual(set(self.labels("folder")), {f"train/{name}" for name in bags})

    def test_what_a_group_may_hold(self):
        with h5py.File(self.files / "all.h5", "w") as file:
            for name, img, pos in (("good", numbers(1), numpy.arange(18).reshape(9, 2)),
                                   ("pixels", numpy.zeros((9, 4, 4, 3), numpy.uint8), None),
                                   ("short", numbers(1), numpy.arange(8)),
                                   ("empty", numbers(1, 0), None)):
                group = file.create_group(name)
                group["img"] = img
                if pos is not None:
                    group["pos"] = pos
        summary = self.ingest(source=self.files / "all.h5")
        self.assertEqual(summary["kept"], 1)
        reasons = {failed["id"]: failed["reason"] for failed in summary["failed"]}
        for name, words in (("pixels", "4 dimensions"), ("short", "8 places for 9"),
                            ("empty", "0 rows")):
            self.assertIn(words, reasons[name])
            self.assertIn(f"('{name}')", reasons[name])
        _, slides = self.export("clam")
        self.assertEqual(slides["good"][0]["coords"].tolist(),
                         numpy.arange(18).reshape(9, 2).tolist())


class Splits(Files):
    SPLIT = ",train,train_label,val,val_label,test,test_label\n0,{},1,{},0.0,{},1.0\n1,{},0,,,,\n"

    def test_a_split_of_transmil_and_a_csv_of_tcga(self):
        names = [f"TCGA-{case}-01Z-00-DX{slide}.0F-{case}" for case in ("A1-0001", "B2-0002")
                 for slide in (1, 2)]
        for i, name in enumerate(names):
            save_h5(self.files / f"{name}.h5", {"features": numbers(i), "coords": grid(i, 9, 256)})
        (self.work / "fold0.csv").write_text(self.SPLIT.format(*names))
        (self.work / "tcga.csv").write_text("case_id,slide_id,label\n" + "".join(
            f"{name[:12]},{name}.svs,{'LUAD' if 'A1' in name else 'LUSC'}\n" for name in names))
        self.ingest("--labels", self.work / "tcga.csv", "--split", self.work / "fold0.csv")
        rows = self.labels()
        self.assertEqual([rows[name]["split"] for name in names], ["train", "val", "test", "train"])
        self.assertEqual([rows[name]["label"] for name in names], ["LUAD"] * 2 + ["LUSC"] * 2)
        self.assertEqual({row["case_id"] for row in rows.values()},
                         {"TCGA-A1-0001", "TCGA-B2-0002"})
        for more in ([], ["--labels", self.work / "tcga.csv"]):
            made = run("split", self.work / "out", "--folds", 2, "--force", *more)
            self.assertEqual(made.code, 0, made.err)
            with (self.work / "out" / "split.csv").open(newline="") as file:
                folds = {row["id"]: row["fold"] for row in csv.DictReader(file)}
            self.assertEqual(folds[names[0]], folds[names[1]])
            self.assertEqual(folds[names[2]], folds[names[3]])
            self.assertEqual(len(folds), 4)

    def test_patients_by_the_names_of_slides(self):
        names = [f"TCGA-XX-{case:04}-01Z-00-DX{slide}" for case in range(8) for slide in (1, 2, 3)]
        for i, name in enumerate(names):
            save_h5(self.files / "in" / f"{name}.h5", {"features": numbers(i)})
        self.ingest()
        made = run("split", self.work / "out", "--folds", 4, "--patient-prefix", 12)
        self.assertEqual(made.code, 0, made.err)
        with (self.work / "out" / "split.csv").open(newline="") as file:
            folds = {row["id"].split("/")[-1]: row["fold"] for row in csv.DictReader(file)}
        for case in range(8):
            of_patient = {fold for name, fold in folds.items() if f"-{case:04}-" in name}
            self.assertEqual(len(of_patient), 1, case)
        self.assertEqual(len(set(folds.values())), 4)


if __name__ == "__main__":
    unittest.main()

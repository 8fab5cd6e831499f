"""Heat maps of slides and predictions from their files, read again by other programs."""

import csv
import json
import re
import shutil
import struct
import unittest

import h5py
import numpy
import openslide
from PIL import Image

from harness import ProgramTest, run, without_key
from slide_rule import Rule, Slide, kept_tiles

TILE, MPP = 32, 1.0   # pixels of a tile, at half the resolution of the slides
SIDE = 64             # of a tile, in level-0 pixels
CANVAS = 4096

SLIDE_RUN = """
[experiment]
name = "small"
[data]
store = "{store}"
[selection]
method = "dbps"
salient = 8
sub_salient = 12
scan_patches = 256
ranking = "global"
explore_epochs = 1
[encoder]
kind = "tiny"
[aggregator]
kind = "dual_attention"
heads = 4
key_width = 4
value_width = 4
mlp_width = 32
[[task]]
name = "label"
[optimizer]
learning_rate = 3e-3
warmup_epochs = 1
[training]
epochs = 1
batch_size_global = 4
micro_batches = 2
[distributed]
threads = 1
device = "cpu"
[report]
maps_per_epoch = 2
"""


def with_resolution(source, target, mpp):
    """A copy of a little-endian TIFF whose first directory says so many microns a pixel."""
    raw = bytearray(source.read_bytes())
    place, = struct.unpack_from("<I", raw, 4)
    count, = struct.unpack_from("<H", raw, place)
    for i in range(count):
        tag, kind, _, value = struct.unpack_from("<HHII", raw, place + 2 + 12 * i)
        if tag in (282, 283):
            assert kind == 5
            struct.pack_into("<II", raw, value, round(1e8 / mpp), 10000)
    target.write_bytes(raw)


def without_resolution(source, target):
    """A copy whose first directory says nothing of microns."""
    raw = bytearray(source.read_bytes())
    place, = struct.unpack_from("<I", raw, 4)
    count, = struct.unpack_from("<H", raw, place)
    for i in range(count):
        tag, = struct.unpack_from("<H", raw, place + 2 + 12 * i)
        if tag == 296:  # the unit: none
            struct.pack_into("<H", raw, place + 2 + 12 * i + 8, 1)
    target.write_bytes(raw)


def sharpened(source, target, factor):
    """A copy of a model whose query is so many times longer: attention of a short training hardly
    differs."""
    raw = bytearray(source.read_bytes())
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    del header["__metadata__"]["crc32c"]
    first, end = (8 + length + at for at in header["aggregator.q"]["data_offsets"])
    query = numpy.frombuffer(raw[first:end], "<f4") * numpy.float32(factor)
    raw[first:end] = query.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length:])


def places_in(store):
    """{id: the corners of its tiles}, by h5py."""
    places = {}
    for path in sorted(store.glob("shard-*.h5")):
        with h5py.File(path) as shard:
            bags, tiles = shard["bags"], shard["tiles"]
            for row, name in enumerate(bags["id"][:]):
                first, count = bags["first_tile"][row], bags["tile_count"][row]
                places[name.decode()] = list(zip(tiles["x"][first:first + count].tolist(),
                                                 tiles["y"][first:first + count].tolist()))
    return places


def microns(slide):
    """A pixel, by the resolution tags as OpenSlide tells them."""
    assert slide.properties["tiff.ResolutionUnit"] == "centimeter"
    assert slide.properties["tiff.XResolution"] == slide.properties["tiff.YResolution"]
    return 1e4 / float(slide.properties["tiff.XResolution"])


def picture_of(path):
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB"))


def luminance(rgb):
    share = rgb / 255
    linear = numpy.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055)**2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def corners(rows):
    return [(float(row["x"]), float(row["y"])) for row in rows]


def on_white(picture):
    white = Image.new("RGBA", picture.size, "white")
    return numpy.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))


class MapsTest(ProgramTest):
    small_run = SLIDE_RUN

    @classmethod
    def make_store(cls):
        demo = cls.folder / "demo"
        made = run("make-demo", demo, "--slides", "--canvas", CANVAS, "--train", 4, "--validation",
                   2, "--test", 2, "--seed", 4)
        assert made.code == 0, made.err
        cls.slides = demo / "slides"
        cls.labels = demo / "labels.csv"
        store = cls.ingested("store", MPP)
        config = cls.folder / "run.toml"
        config.write_text(cls.small_run.format(store=store))
        done = run("train", config, "--set", f"experiment.output={cls.folder}", timeout=300)
        assert done.code == 0, done.err
        cls.trained = cls.folder / "small"
        cls.model = cls.folder / "model.safetensors"
        assert run("export", cls.trained, cls.folder / "flat.safetensors").code == 0
        sharpened(cls.folder / "flat.safetensors", cls.model, 300)
        return store

    @classmethod
    def ingested(cls, name, mpp):
        made = run("ingest", cls.slides, cls.folder / name, "--kind", "tiles", "--labels",
                   cls.labels, "--tile-size", TILE, "--mpp", mpp)
        assert made.code == 0, made.err
        return cls.folder / name

    def predict(self, *inputs, verb="predict", code=0, model=None, **how):
        self.temporary = self.work / "tmp"
        self.temporary.mkdir(exist_ok=True)
        done = run(verb, model or self.model, *inputs, "--set", "distributed.threads=1",
                   env={"TMPDIR": str(self.temporary)}, **how)
        self.assertEqual(done.code, code, done.err)
        self.assertEqual(list(self.temporary.iterdir()), [])
        return [json.loads(line) for line in done.out.splitlines()]

    def check_scores(self, maps, line, places):
        rows = rows_of(maps / f"{line['id']}-scores.csv")
        self.assertEqual([int(row["index"]) for row in rows], list(range(len(places))))
        self.assertEqual(corners(rows), [(float(x), float(y)) for x, y in places])
        self.assertEqual({(float(row["width"]), float(row["height"])) for row in rows},
                         {(SIDE, SIDE)})
        scores = numpy.array([numpy.float32(row["score"]) for row in rows])
        self.assertAlmostEqual(float(scores.astype(float).sum()), 1, places=4)
        by_score = sorted(range(len(rows)), key=lambda i: (-scores[i], i))
        self.assertEqual([int(rows[i]["rank"]) for i in by_score],
                         list(range(1, len(rows) + 1)))
        for name, key, first in (("salient", "salient", 0), ("sub-salient", "sub_salient", 8)):
            chosen = line[key]
            self.assertEqual([p["index"] for p in chosen],
                             by_score[first:first + len(chosen)])
            self.assertEqual({p["index"] for p in chosen},
                             {i for i, row in enumerate(rows) if row["selected"] == name})
            for patch in chosen:
                self.assertEqual(numpy.float32(patch["score"]), scores[patch["index"]])
        return rows

    def check_geojson(self, path, rows):
        document = json.loads(path.read_text())
        self.assertEqual(document["type"], "FeatureCollection")
        self.assertEqual(len(document["features"]), len(rows))
        for feature, row in zip(document["features"], rows):
            self.assertEqual(feature["type"], "Feature")
            self.assertEqual(feature["geometry"]["type"], "Polygon")
            (ring,) = feature["geometry"]["coordinates"]
            x, y = float(row["x"]), float(row["y"])
            self.assertEqual(ring, [[x, y], [x + SIDE, y], [x + SIDE, y + SIDE], [x, y + SIDE],
                                    [x, y]])
            properties = feature["properties"]
            self.assertEqual(properties["objectType"], "detection")
            self.assertEqual(properties["name"], f"tile {row['index']}")
            self.assertAlmostEqual(properties["measurements"]["attention"], float(row["score"]),
                                   places=6)
            self.assertEqual(properties["measurements"]["rank"], int(row["rank"]))
            if row["selected"]:
                self.assertEqual(properties["classification"]["name"], row["selected"])
                self.assertEqual(len(properties["classification"]["color"]), 3)
            else:
                self.assertNotIn("classification", properties)

    def check_tiff(self, path, rows):
        pixel = SIDE // 8
        slide = openslide.OpenSlide(str(path))
        side = CANVAS // pixel
        self.assertEqual(slide.dimensions, (side, side))
        self.assertEqual(slide.level_count, 2)
        self.assertEqual(slide.level_dimensions[1], (side // 2, side // 2))
        self.assertEqual(microns(slide), 0.5 * pixel)
        picture = on_white(slide.read_region((0, 0), 0, slide.dimensions))
        numpy.testing.assert_array_equal(picture, picture_of(path))
        covered = numpy.zeros((side, side), bool)
        light = []
        for row in sorted(rows, key=lambda row: int(row["rank"])):
            x, y = int(float(row["x"])) // pixel, int(float(row["y"])) // pixel
            tile = picture[y:y + 8, x:x + 8].reshape(-1, 3)
            self.assertEqual(len(numpy.unique(tile, axis=0)), 1)
            light.append(luminance(tile[0]))
            covered[y:y + 8, x:x + 8] = True
        self.assertTrue((picture[~covered] == 255).all())
        self.assertFalse((picture[covered] == 255).all(axis=1).any())
        self.assertLess(numpy.diff(light).max(), 1e-3)  # less light at each rank
        self.assertGreater(light[0] - light[-1], 0.5)
        return covered

    def check_overlay(self, path, covered, background):
        picture = picture_of(path).astype(int)
        self.assertEqual(picture.shape[1], 2048)
        self.assertGreater(picture.shape[0], 2048)  # the legend lies below
        seen = covered.repeat(4, 0).repeat(4, 1)
        apart = numpy.abs(picture[:2048] - background).mean(axis=2)
        self.assertLess(apart[~seen].mean(), 3)
        self.assertGreater(apart[seen].mean(), 25)

    def test_a_slide_from_its_file_and_from_a_store(self):
        places = places_in(self.store)
        slide = self.slides / "slide-007.tif"
        (line,) = self.predict(slide, "--maps", self.work / "files")
        self.assertEqual(line["source"], str(slide))
        self.assertEqual(sorted(path.name for path in (self.work / "files").iterdir()),
                         [f"slide-007{end}" for end in ("-heat.tif", "-overlay.png", "-scores.csv",
                                                        "-top.png", ".geojson")])
        rows = self.check_scores(self.work / "files", line, places["slide-007"])
        self.check_geojson(self.work / "files" / "slide-007.geojson", rows)
        covered = self.check_tiff(self.work / "files" / "slide-007-heat.tif", rows)
        opened = openslide.OpenSlide(str(slide))
        self.check_overlay(self.work / "files" / "slide-007-overlay.png", covered,
                           numpy.asarray(opened.get_thumbnail((2048, 2048)).convert("RGB")))
        sheet = picture_of(self.work / "files" / "slide-007-top.png")
        self.assertGreater(min(sheet.shape[:2]), 800)

        # The store's slides are where they were, then gone.
        moved = self.work / "gone"
        for folder in ("beside", "alone"):
            lines = self.predict(self.store, "--maps", self.work / folder, verb="explain")
            self.assertEqual(len(lines), 8)
            by_id = {found["id"]: found for found in lines}
            self.assertEqual(by_id["slide-007"]["salient"], line["salient"])
            self.assertEqual(by_id["slide-007"]["tasks"], line["tasks"])
            for found in lines:
                self.check_scores(self.work / folder, found, places[found["id"]])
            for end in ("-scores.csv", ".geojson", "-heat.tif"):
                self.assertEqual((self.work / folder / f"slide-007{end}").read_bytes(),
                                 (self.work / "files" / f"slide-007{end}").read_bytes())
            if folder == "beside":
                self.assertEqual((self.work / folder / "slide-007-overlay.png").read_bytes(),
                                 (self.work / "files" / "slide-007-overlay.png").read_bytes())
                self.slides.rename(moved)
        moved.rename(self.slides)
        tiled = picture_of(self.work / "alone" / "slide-007-overlay.png")[:2048]
        seen = covered.repeat(4, 0).repeat(4, 1)
        self.assertTrue((tiled[~seen] == 255).all())
        beside = picture_of(self.work / "beside" / "slide-007-overlay.png")[:2048]
        apart = numpy.abs(tiled.astype(int) - beside)[seen]
        self.assertLess(apart.mean(), 3)

    def test_a_slide_of_another_scale_is_cut_at_the_models(self):
        finer = self.work / "finer.tif"
        with_resolution(self.slides / "slide-006.tif", finer, 0.25)
        (line,) = self.predict(finer, "--maps", self.work / "maps")
        opened = openslide.OpenSlide(str(finer))
        self.assertEqual(microns(opened), 0.25)
        levels = [(*opened.level_dimensions[i], opened.level_downsamples[i])
                  for i in range(opened.level_count)]
        rule = Rule(tile=TILE, mpp=MPP)
        expected, level, _, _ = kept_tiles(
            Slide(levels, 0.25, lambda level: on_white(
                opened.read_region((0, 0), level, opened.level_dimensions[level]))), rule)
        self.assertEqual(level, 1)
        rows = rows_of(self.work / "maps" / "finer-scores.csv")
        self.assertEqual(corners(rows), [(float(x), float(y)) for (x, y), _ in expected])
        self.assertEqual(float(rows[0]["width"]), 2 * SIDE)
        self.assertEqual({p["index"] for p in line["salient"]},
                         {int(row["index"]) for row in rows if row["selected"] == "salient"})

    def test_a_slide_that_cannot_be_read_does_not_end_the_rest(self):
        folder = self.work / "mixed"
        folder.mkdir()
        good = self.slides / "slide-006.tif"
        shutil.copy(good, folder / "a.tif")
        (folder / "b.tif").write_bytes(good.read_bytes()[:3000])
        without_resolution(good, folder / "c.tif")
        Image.new("RGB", (700, 600), "white").save(folder / "d.tif", dpi=(25400, 25400))
        for ranks in (0, 2):
            lines = self.predict(folder, code=65, ranks=ranks)
            self.assertEqual([("error" in line) for line in lines], [False, True, True, True])
            self.assertIn("b.tif", lines[1]["error"])
            self.assertIn("--slide-mpp", lines[2]["error"])
            self.assertNotIn("--level", lines[2]["error"])
            self.assertIn("no tissue", lines[3]["error"])
        (line,) = self.predict(folder / "c.tif", "--slide-mpp", 0.5)
        self.assertEqual(line["salient"], lines[0]["salient"])
        named = self.work / "list.csv"
        named.write_text(f"id,path,mpp\none,{folder / 'c.tif'},0.5\n")
        (line,) = self.predict(named)
        self.assertEqual((line["id"], line["salient"]), ("one", lines[0]["salient"]))

    def test_a_model_that_does_not_say_how_slides_are_cut_takes_none(self):
        old = self.work / "old.safetensors"
        without_key(self.model, old, "slides")
        slide = self.slides / "slide-006.tif"
        renamed = self.work / "renamed.svs"
        shutil.copy(slide, renamed)
        flat = self.work / "flat.tif"
        Image.fromarray(numpy.full((256, 320, 3), 190, numpy.uint8)).save(flat)
        lines = self.predict(slide, renamed, flat, model=old, code=65)
        for line, path in zip(lines, (slide, renamed)):
            self.assertIn(f"{path}: it is a slide, and {old} does not say", line["error"])
            self.assertIn("predict the store", line["error"])
        self.assertNotIn("error", lines[2])
        (line,) = [line for line in self.predict(self.store, model=old) if line["id"] == "slide-006"]
        (same,) = self.predict(slide)
        self.assertEqual(line["salient"], same["salient"])

    def test_a_store_of_another_scale_is_refused_by_name(self):
        coarse = self.ingested("coarse", 2)
        for words in (["predict", self.model, coarse],
                      ["explain", self.trained, coarse, "--maps", self.work / "maps"],
                      ["eval", self.trained, "--set", f"data.store={coarse}"],
                      ["extract", coarse, self.work / "vectors", "--model", self.model],
                      ["train", self.config, "--set", f"data.store={coarse}", "--set",
                       f"training.initial_weights={self.model}", "--set",
                       f"experiment.output={self.work}"]):
            refused = run(*words)
            self.assertEqual(refused.code, 64, (words, refused.err))
            for word in (str(coarse), "2 microns", "of 1:", "--mpp 1"):
                self.assertIn(word, refused.err)
        large = self.work / "large"
        made = run("ingest", self.slides, large, "--kind", "tiles", "--tile-size", 2 * TILE, "--mpp", 1)
        self.assertEqual(made.code, 0, made.err)
        refused = run("extract", large, self.work / "vectors", "--model", self.trained)
        self.assertEqual(refused.code, 64, refused.err)
        self.assertIn(f"--tile-size {TILE}", refused.err)
        self.assertFalse((self.work / "vectors" / "store.json").exists())
        other = self.work / "other"
        named = self.work / "other.csv"
        named.write_text(f"id,path,label\nother,{self.slides / 'slide-000.tif'},normal\n")
        made = run("ingest", named, other, "--kind", "tiles", "--tile-size", TILE, "--mpp", 2)
        self.assertEqual(made.code, 0, made.err)
        both = self.train("both", "--set", f'data.store=["{self.store}","{other}"]')
        self.assertEqual(both.code, 64)
        self.assertIn("--mpp 1", both.err)

    def test_a_store_made_by_level_has_the_scale_of_its_slides(self):
        store = self.work / "level"
        made = run("ingest", self.slides, store, "--kind", "tiles", "--labels", self.labels,
                   "--tile-size", TILE, "--level", 1)  # 2 microns a pixel
        self.assertEqual(made.code, 0, made.err)
        done = self.train("level", "--set", f"data.store={store}")
        self.assertEqual(done.code, 0, done.err)
        of_store = {line["id"]: line for line in self.predict(store, model=self.work / "level")}
        finer = self.work / "slide-006.tif"
        shutil.copy(self.slides / "slide-006.tif", finer)
        (line,) = self.predict(finer, model=self.work / "level")
        self.assertEqual(line["salient"], of_store["slide-006"]["salient"])
        refused = run("predict", self.work / "level", self.store)
        self.assertEqual(refused.code, 64)
        self.assertIn("--mpp 2", refused.err)

    def test_a_selection_that_ranks_nothing_draws_nothing(self):
        refused = run("predict", self.model, self.slides, "--maps", self.work / "maps", "--set",
                      "selection.method=random", "--set", "selection.sub_salient=0")
        self.assertEqual(refused.code, 64)
        self.assertIn("selection.method", refused.err)
        self.assertFalse((self.work / "maps").exists())

    def test_a_run_keeps_its_best_and_worst_slides(self):
        def drawn(folder):
            return sorted(path.name for path in folder.iterdir())

        shared = self.train("shared", "--set", "distributed.patch_group=2", ranks=2, timeout=300)
        self.assertEqual(shared.code, 0, shared.err)
        names = drawn(self.trained / "maps" / "epoch-0001")
        self.assertEqual(len(names), 4)
        self.assertEqual([name[:7] for name in names], ["1-best-"] * 2 + ["1-worst"] * 2)
        self.assertEqual({name[-7:] for name in names}, {"lay.jpg", "top.jpg"})
        self.assertEqual(len(drawn(self.work / "shared" / "maps" / "epoch-0001")), 4)
        evaluated = run("eval", self.trained, "--split", "test", ranks=2)
        self.assertEqual(evaluated.code, 0, evaluated.err)
        loss = {}
        for row in rows_of(self.trained / "predictions-test.csv"):
            of_tumor = float(row["tumor"])
            loss[row["id"]] = 1 - of_tumor if row["truth"] == "tumor" else of_tumor
        best, worst = min(loss, key=loss.get), max(loss, key=loss.get)
        self.assertEqual(drawn(self.trained / "maps" / "test"),
                         [f"1-{name}-{end}.jpg" for name in (f"best-{best}", f"worst-{worst}")
                          for end in ("overlay", "top")])
        reported = run("report", self.trained, "--output", self.work / "report.html")
        self.assertEqual(reported.code, 0, reported.err)
        page = (self.work / "report.html").read_text()
        captions = re.findall("<figcaption>([^<]+-(?:overlay|top))</figcaption>", page)
        self.assertEqual(captions[:4], [f"test: 1-{name}-{end}"
                                        for name in (f"best-{best}", f"worst-{worst}")
                                        for end in ("overlay", "top")])
        self.assertEqual(len(captions), 8)


class PicturesTest(ProgramTest):
    def test_explain_draws_every_patch_of_a_picture(self):
        self.assert_done(self.train("r", "--set", "training.epochs=1"))
        pictures = self.folder / "demo" / "pictures" / "test"
        explained = run("explain", self.work / "r", pictures, "--maps", self.work / "maps")
        self.assert_done(explained)
        lines = [json.loads(line) for line in explained.out.splitlines()]
        self.assertEqual(len(lines), 12)
        self.assertEqual(len(list((self.work / "maps").iterdir())), 5 * 12)
        for line in lines:
            name = line["id"].replace("/", "_")
            rows = rows_of(self.work / "maps" / f"{name}-scores.csv")
            self.assertEqual(corners(rows), [(float(x), float(y)) for y in range(0, 128, 32)
                                             for x in range(0, 128, 32)])
            for patch in line["salient"]:
                row = rows[patch["index"]]
                self.assertEqual((float(row["x"]), float(row["y"]), row["selected"]),
                                 (patch["x"], patch["y"], "salient"))
                self.assertEqual(numpy.float32(row["score"]), numpy.float32(patch["score"]))
        self.assertIn("--maps", run("explain", self.work / "r", pictures).err)


if __name__ == "__main__":
    unittest.main()

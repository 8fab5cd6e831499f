"""Slides and other tools' coordinates into a store of tiles, beside Pillow and h5py; and out again."""

import io
import json
import unittest

import h5py
import numpy
from PIL import Image

from harness import ProgramTest, run
from other_tools import clam_coordinates, save_h5, trident_coordinates

TILE = 64


def slide_pixels(seed, width, height):
    """Colours that change slowly and everywhere."""
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [(x * (3 + seed) + y * 2) % 256, (x * y // 97 + seed) % 256, (x // 2 + y * 5) % 256]
    return numpy.stack(waves, axis=-1).astype(numpy.uint8)


class TilesTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.slides = self.work / "slides"
        self.coords = self.work / "coords"
        self.slides.mkdir()
        self.coords.mkdir()

    def save_slide(self, name, pixels):
        path = self.slides / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    def ingest(self, *more, store="out", code=0, size=TILE):
        result = run("ingest", self.slides, self.work / store, "--kind", "tiles", "--json",
                     "--codec", "png", "--tile-size", size, "--coords", self.coords, *more)
        self.assertEqual(result.code, code, result.err)
        return json.loads(result.out) if result.out else result.err

    def tiles(self, store="out"):
        """{id: [(x, y, pixels)]} by h5py and Pillow alone."""
        found = {}
        with h5py.File(self.work / store / "shard-00000.h5") as shard:
            offset, size = shard["tiles/offset"][:], shard["tiles/bytes"][:]
            x, y = shard["tiles/x"][:], shard["tiles/y"][:]
            for i, name in enumerate(shard["bags/id"][:].astype(str)):
                first = shard["bags/first_tile"][i]
                found[name] = []
                for t in range(first, first + shard["bags/tile_count"][i]):
                    blob = shard["blob"][offset[t]:offset[t] + numpy.uint64(size[t])].tobytes()
                    pixels = numpy.asarray(Image.open(io.BytesIO(blob)))
                    found[name].append((x[t], y[t], pixels))
        return found


class Coordinates(TilesTest):
    def test_tiles_lie_where_clam_says_in_its_order(self):
        pixels = {name: slide_pixels(i, 500, 400) for i, name in enumerate(("a", "in/b"))}
        places = {"a": [[130, 7], [3, 300], [400, 0]], "in/b": [[0, 0], [436, 336], [64, 64]]}
        self.save_slide("a.tif", pixels["a"])
        self.save_slide("in/b.tif", pixels["in/b"])
        for name, file in (("a", "a.h5"), ("in/b", "b_patches.h5")):
            save_h5(self.coords / file, {"coords": numpy.array(places[name])},
                    {"coords": clam_coordinates(0, TILE, 1.0, (500, 400))})
        self.assertEqual(self.ingest("--strict")["kept"], 2)
        for name, tiles in self.tiles().items():
            self.assertEqual([[x, y] for x, y, _ in tiles], places[name])
            for x, y, found in tiles:
                expected = pixels[name][y:y + TILE, x:x + TILE]
                self.assertTrue(numpy.array_equal(found, expected), (name, x, y))
        self.assertTrue((self.work / "out" / "slides" / "in" / "b-grid.png").exists())

    def test_a_slide_in_bands_is_read_from_top_to_bottom(self):
        pixels = slide_pixels(1, 300, 300)
        self.save_slide("a.png", pixels)
        save_h5(self.coords / "a.h5", {"coords": numpy.array([[9, 200], [7, 5], [200, 5]])},
                {"coords": clam_coordinates(0, TILE, 1.0, (300, 300))})
        self.ingest("--strict")
        tiles = self.tiles()["a"]
        self.assertEqual([[x, y] for x, y, _ in tiles], [[7, 5], [200, 5], [9, 200]])
        for x, y, found in tiles:
            self.assertTrue(numpy.array_equal(found, pixels[y:y + TILE, x:x + TILE]))

    def test_trident_at_half_the_magnification(self):
        pixels = slide_pixels(2, 600, 500)
        self.save_slide("a.tif", pixels)
        save_h5(self.coords / "a_patches.h5", {"coords": numpy.array([[128, 256], [1, 3]])},
                {"coords": trident_coordinates(TILE, 40, 20, 600, 500)})
        self.ingest("--strict")
        for x, y, found in self.tiles()["a"]:
            self.assertEqual(found.shape, (TILE, TILE, 3))
            square = Image.fromarray(pixels[y:y + 2 * TILE, x:x + 2 * TILE])
            shrunk = numpy.asarray(square.resize((TILE, TILE), Image.Resampling.BILINEAR))
            self.assertLessEqual(numpy.abs(found.astype(int) - shrunk).max(), 1)
        with h5py.File(self.work / "out" / "shard-00000.h5") as shard:
            self.assertEqual(shard["bags/downsample"][0], 2)
            self.assertEqual(shard.attrs["given"], 1)

    def test_a_tile_may_reach_beyond_the_slide(self):
        pixels = slide_pixels(3, 200, 100)
        self.save_slide("a.tif", pixels)
        save_h5(self.coords / "a.h5", {"coords": numpy.array([[180, 90]])},
                {"coords": clam_coordinates(0, TILE, 1.0, (200, 100))})
        self.ingest("--strict")
        (_, _, found), = self.tiles()["a"]
        self.assertTrue(numpy.array_equal(found[:10, :20], pixels[90:, 180:]))
        self.assertTrue((found[10:] == 255).all() and (found[:, 20:] == 255).all())

    def test_what_does_not_fit_is_named(self):
        clam = clam_coordinates(0, TILE, 1.0, (200, 100))
        cases = {
            "good": ([[0, 0]], clam, ""),
            "none": (None, None, "no coordinates of 'none'"),
            "empty": (numpy.zeros((0, 2), int), clam, "0 rows"),
            "outside": ([[0, 0], [200, 0]], clam, "(200, 0) lies outside the slide of 200 x 100"),
            "before": ([[-1, 0]], clam, "(-1, 0) lies outside"),
            "wide": ([[0, 0]], dict(clam, patch_size=256), "--tile-size 256"),
            "unsaid": ([[0, 0]], {}, "how large"),
            "finer": ([[0, 0]], trident_coordinates(TILE, 20, 40, 200, 100), "2 times the slide's"),
            "level": ([[0, 0]], {"patch_size": TILE, "patch_level": 3}, "no level 3"),
            "shape": ([[0, 0, 0]], clam, "(1, 3)"),
        }
        for name, (places, attributes, _) in cases.items():
            self.save_slide(f"{name}.tif", slide_pixels(1, 200, 100))
            if places is not None:
                save_h5(self.coords / f"{name}.h5", {"coords": numpy.array(places)},
                        {"coords": attributes})
        self.save_slide("torn.tif", slide_pixels(1, 200, 100))
        (self.coords / "torn.h5").write_bytes(b"\x89HDF\r\n\x1a\nand no more")
        summary = self.ingest()
        self.assertEqual(summary["kept"], 1)
        reasons = {failed["id"]: failed["reason"] for failed in summary["failed"]}
        self.assertEqual(set(reasons), set(cases) - {"good"} | {"torn"})
        for name, reason in reasons.items():
            self.assertIn(cases[name][2] if name in cases else "torn.h5", reason)
        self.assertIn("--coords", self.ingest("--mpp", 0.5, store="x", code=64))
        self.assertIn("given", self.ingest_without("out"))

    def ingest_without(self, store):
        """Tiles by tissue cannot join tiles by coordinates."""
        result = run("ingest", self.slides, self.work / store, "--kind", "tiles", "--codec", "png",
                     "--tile-size", TILE)
        self.assertEqual(result.code, 64, result.err)
        return result.err


class Patches(TilesTest):
    """Pixels of all slides in one file, as IPS lays it out."""

    def take(self, code=0, size=TILE):
        result = run("ingest", self.work / "all.h5", self.work / "out", "--kind", "tiles", "--json",
                     "--codec", "png", "--tile-size", size)
        self.assertEqual(result.code, code, result.err)
        return json.loads(result.out) if result.out else {}

    def test_groups_become_bags(self):
        patches = {name: slide_pixels(i, TILE, TILE * (2 + i)).reshape(-1, TILE, TILE, 3)
                   for i, name in enumerate(("normal_1", "tumor_1", "tumor_2"))}
        with h5py.File(self.work / "all.h5", "w") as file:
            for name, pixels in patches.items():
                group = file.create_group(name)
                planes = name == "tumor_2"
                group.create_dataset("img", compression="gzip",
                                     data=pixels.transpose(0, 3, 1, 2) if planes else pixels)
                group.attrs["label"] = name.split("_")[0]
                if not planes:
                    group["pos"] = numpy.arange(len(pixels)) * 3
            file.create_group("wide")["img"] = numpy.zeros((2, TILE, 2 * TILE, 3), numpy.uint8)
            file.create_group("none")["img"] = numpy.zeros((0, TILE, TILE, 3), numpy.uint8)
            file.create_group("vectors")["img"] = numpy.zeros((5, 8), numpy.float32)
            file.create_group("long")["img"] = numpy.zeros((2, TILE, TILE, 3), numpy.uint16)
        summary = self.take()
        self.assertEqual(summary["kept"], 3)
        reasons = {failed["id"]: failed["reason"] for failed in summary["failed"]}
        for name, words in (("wide", "128 x 64 pixels"), ("none", "0 rows"), ("vectors", "(5, 8)"),
                            ("long", "uint8")):
            self.assertIn(words, reasons[name])
        found = self.tiles()
        self.assertEqual(set(found), set(patches))
        for name, pixels in patches.items():
            step = 1 if name == "tumor_2" else 3
            self.assertEqual([(x, y) for x, y, _ in found[name]],
                             [(step * i, 0) for i in range(len(pixels))])
            for (_, _, tile), expected in zip(found[name], pixels):
                self.assertTrue(numpy.array_equal(tile, expected))
        labels = (self.work / "out" / "labels.csv").read_text()
        self.assertIn("normal_1,normal\ntumor_1,tumor\n", labels)
        self.assertEqual(run("verify", self.work / "out").code, 0)


class RoundTrip(ProgramTest):
    """Demo slides: what another tool would read of a store gives the same store again."""

    def fingerprint(self, store):
        return json.loads(run("inspect", store, "--json").out)["fingerprint"]

    def export(self, store, layout):
        folder = self.work / layout
        result = run("export", store, folder, "--layout", layout)
        self.assertEqual(result.code, 0, result.err)
        return folder / "patches"

    def test_through_both_layouts(self):
        made = run("make-demo", self.work / "demo", "--slides", "--canvas", 2048, "--train", 2,
                   "--validation", 0, "--test", 0)
        self.assertEqual(made.code, 0, made.err)
        first, slides = self.work / "first", self.work / "demo" / "slides"
        made = run("ingest", slides, first, "--kind", "tiles")
        self.assertEqual(made.code, 0, made.err)
        for layout in ("clam", "trident"):
            again = self.work / f"from-{layout}"
            result = run("ingest", slides, again, "--kind", "tiles", "--strict", "--json",
                         "--coords", self.export(first, layout))
            self.assertEqual(result.code, 0, result.err)
            self.assertEqual(json.loads(result.out)["modes"], {"JPEG tiles copied as they are": 2})
            self.assertEqual(self.fingerprint(again), self.fingerprint(first))

    def test_attributes_of_another_resolution(self):
        made = run("make-demo", self.work / "demo", "--slides", "--canvas", 2048, "--train", 2,
                   "--validation", 0, "--test", 0)
        self.assertEqual(made.code, 0, made.err)
        store = self.work / "coarse"
        result = run("ingest", self.work / "demo" / "slides", store, "--kind", "tiles", "--mpp", 1,
                     "--tile-size", 128)
        self.assertEqual(result.code, 0, result.err)
        for layout, expected in (
                ("clam", {"patch_size": 256, "patch_level": 0}),
                ("trident", {"patch_size": 128, "patch_size_level0": 256, "overlap": 0,
                             "level0_magnification": 20, "target_magnification": 10,
                             "level0_width": 2048, "level0_height": 2048})):
            folder = self.export(store, layout)
            files = sorted(folder.rglob("*.h5"))
            self.assertEqual(len(files), 2)
            with h5py.File(files[0]) as file, h5py.File(store / "shard-00000.h5") as shard:
                attributes = dict(file["coords"].attrs)
                for key, value in expected.items():
                    self.assertEqual(attributes[key], value, key)
                self.assertEqual(attributes["name"], files[0].stem.removesuffix("_patches"))
                count = shard["bags/tile_count"][0]
                places = numpy.stack([shard["tiles/x"][:count], shard["tiles/y"][:count]], axis=1)
                self.assertTrue(numpy.array_equal(file["coords"][:], places))
                if layout == "clam":
                    self.assertEqual(tuple(attributes["downsample"]), (1, 1))
                    self.assertEqual(tuple(attributes["level_dim"]), (2048, 2048))


if __name__ == "__main__":
    unittest.main()

"""Slides into stores of tiles, beside OpenSlide, Pillow and the rule of docs/slides.md."""

import csv
import io
import json
import os
import shutil
import struct
import subprocess
import tempfile
import pathlib
import unittest
import zlib

import h5py
import numpy
import openslide
from PIL import Image

from harness import PROGRAM, printed_by_example, run, start
from slide_rule import Rule, Slide, kept_tiles

Image.MAX_IMAGE_PIXELS = None
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class Store:
    """A store of tiles as h5py sees it: {id: Bag}."""

    def __init__(self, folder):
        self.bags = {}
        for path in sorted(pathlib.Path(folder).glob("shard-*.h5")):
            with h5py.File(path) as shard:
                assert shard.attrs["kind"] == b"tiles", shard.attrs["kind"]
                self.attributes = dict(shard.attrs)
                columns = {f"{table}/{name}": values[:] for table in ("bags", "tiles", "sources")
                           for name, values in shard[table].items()}
                blob = shard["blob"][:].tobytes()
            for row, name in enumerate(columns["bags/id"]):
                self.bags[name.decode()] = Bag(columns, blob, row)


class Bag:
    def __init__(self, columns, blob, row):
        for field in ("width", "height", "level", "downsample", "mpp"):
            setattr(self, field, columns[f"bags/{field}"][row])
        first = columns["bags/first_tile"][row]
        tiles = slice(first, first + columns["bags/tile_count"][row])
        self.places = list(zip(columns["tiles/x"][tiles].tolist(),
                               columns["tiles/y"][tiles].tolist()))
        offset, size = columns["tiles/offset"][tiles], columns["tiles/bytes"][tiles]
        self.encoded = [blob[int(o):int(o) + int(s)] for o, s in zip(offset, size)]
        source = columns["bags/source"][row]
        self.tables = columns["sources/jpeg_tables"][source].tobytes().rstrip(b"\0")
        self.photometric = columns["sources/photometric"][source].decode()

    def pixels(self, tile):
        encoded = self.encoded[tile]
        if self.photometric:  # tables, then, for Pillow, that its colours are RGB
            marker = ADOBE_RGB if self.photometric == "RGB" else b""
            encoded = b"\xff\xd8" + marker + self.tables[2:-2] + encoded[2:]
        return numpy.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def opened(path, mpp):
    """A slide by OpenSlide."""
    slide = openslide.OpenSlide(str(path))
    levels = [(*slide.level_dimensions[i], slide.level_downsamples[i])
              for i in range(slide.level_count)]
    return slide, Slide(levels, mpp, lambda level: region(slide, (0, 0), level,
                                                          slide.level_dimensions[level]))


def region(slide, place, level, size):
    return on_white(slide.read_region(place, level, size))


def on_white(picture):
    white = Image.new("RGBA", picture.size, "white")
    return numpy.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))


def as_aperio(source, target):
    """Gives the first directory of a little-endian TIFF the description of an Aperio slide."""
    raw = bytearray(pathlib.Path(source).read_bytes())
    place, = struct.unpack_from("<I", raw, 4)
    count, = struct.unpack_from("<H", raw, place)
    entries = [raw[place + 2 + 12 * i:place + 14 + 12 * i] for i in range(count)]
    following = raw[place + 2 + 12 * count:place + 6 + 12 * count]
    text = b"Aperio Image Library v10\r\n2048x2048|AppMag = 20|MPP = 0.4990\0"
    entries.append(struct.pack("<HHII", 270, 2, len(text), len(raw)))
    raw += text + b"\0" * (len(text) % 2)
    struct.pack_into("<I", raw, 4, len(raw))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    raw += struct.pack("<H", len(entries)) + b"".join(entries) + following
    pathlib.Path(target).write_bytes(raw)


def blotches(width, height, seed=0):
    """Pink and violet patches on a pale ground."""
    random = numpy.random.default_rng(seed)
    coarse = random.random((height // 200 + 2, width // 200 + 2))
    field = Image.fromarray((coarse * 255).astype(numpy.uint8)).resize((width, height),
                                                                       Image.BICUBIC)
    inside = numpy.asarray(field) > 110
    picture = numpy.empty((height, width, 3), numpy.uint8)
    picture[:] = (240, 238, 241)
    picture[inside] = (200, 120, 190)
    noise = random.integers(-12, 12, (height, width, 1))
    return numpy.clip(picture.astype(int) + noise, 0, 255).astype(numpy.uint8)


def run_as_other(*words):
    """The program as somebody whom permissions hold for; skips the test where that cannot be."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        raise unittest.SkipTest("root may read all")
    other = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run([*other, PROGRAM, *map(str, words)], capture_output=True, text=True)


class SlidesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-slides-"))
        cls.demo = cls.folder / "demo"
        made = run("make-demo", cls.demo, "--slides", "--canvas", 2176, "--train", 2,
                   "--validation", 0, "--test", 2, "--seed", 5)
        assert made.code == 0, made.err

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.folder))

    def ingest(self, source, *more, code=0, store="store", **how):
        result = run("ingest", source, self.work / store, "--kind", "tiles", *more, **how)
        self.assertEqual(result.code, code, result.err + result.out)
        return result

    def report(self, store="store"):
        with open(self.work / store / "slides.csv", encoding="utf-8") as file:
            return {row["id"]: row for row in csv.DictReader(file)}


class BesideOpenSlide(SlidesTest):
    def check(self, store, name, path, rule, mpp, exact, reader=None):
        """Coordinates, and the pixels of every tile; exact: else within what a resize may differ."""
        slide, described = opened(path, mpp)
        expected, level, side, mask = kept_tiles(described, rule)
        bag = store.bags[name]
        self.assertEqual(bag.places, [place for place, _ in expected])
        self.assertGreater(len(expected), 5)
        self.assertEqual((bag.width, bag.height), slide.dimensions)
        self.assertEqual(bag.level, level)
        drawn = numpy.asarray(Image.open(self.work / "store" / "slides" / f"{name}-mask.png"))
        numpy.testing.assert_array_equal(drawn, mask * numpy.uint8(255))
        for i, (place, _) in enumerate(expected):
            pixels = region(slide, place, level, (side, side))
            if side != rule.tile:
                pixels = numpy.asarray(Image.fromarray(pixels).resize((rule.tile, rule.tile),
                                                                      Image.BILINEAR))
            difference = numpy.abs(bag.pixels(i).astype(int) - pixels).max()
            self.assertLessEqual(difference, 0 if exact else 1, f"tile {i} at {place}")
        return bag

    def test_tiles_of_a_pyramid_are_copied_exactly(self):
        self.ingest(self.demo / "slides", "--labels", self.demo / "labels.csv")
        store = Store(self.work / "store")
        self.assertEqual(store.attributes["tile_size"], 256)
        self.assertEqual(len(store.bags), 4)
        photometric = set()
        for name in store.bags:
            bag = self.check(store, name, self.demo / "slides" / f"{name}.tif", Rule(), 0.5, True)
            self.assertEqual((bag.mpp, bag.downsample), (0.5, 1))
            self.assertEqual(self.report()[name]["copied"], "yes")
            photometric.add(bag.photometric)
        self.assertEqual(photometric, {"RGB", "YCbCr"})

    def test_tiles_of_another_scale_overlap_or_level(self):
        cases = [
            (("--mpp", 0.7, "--tile-size", 128), Rule(tile=128, mpp=0.7), False, 1.4),
            (("--magnification", 5, "--tile-size", 64), Rule(tile=64, mpp=2.0), True, 4),
            (("--mpp", 0.51, "--overlap", 56), Rule(overlap=56, mpp=0.51), True, 1),
            (("--level", 1, "--tile-size", 50, "--foreground", 0.9),
             Rule(tile=50, level=1, foreground=0.9), True, 4),
            (("--tissue-threshold", 90, "--specks", 4, "--holes", 0, "--tile-size", 96),
             Rule(tile=96, threshold=90, specks=4, holes=0), True, 1)]
        for options, rule, exact, downsample in cases:
            with self.subTest(options=options):
                shutil.rmtree(self.work / "store", ignore_errors=True)
                self.ingest(self.demo / "slides" / "slide-003.tif", "--codec", "png", *options)
                store = Store(self.work / "store")
                bag = self.check(store, "slide-003", self.demo / "slides" / "slide-003.tif", rule,
                                 0.5, exact)
                self.assertAlmostEqual(bag.downsample, downsample, places=12)
                self.assertEqual(self.report()["slide-003"]["copied"], "no")

    def test_encoded_anew_is_near(self):
        path = self.demo / "slides" / "slide-001.tif"
        self.ingest(path, "--codec", "jpeg", "--quality", 95)
        store = Store(self.work / "store")
        bag = store.bags["slide-001"]
        self.assertEqual((bag.tables, bag.photometric), (b"", ""))
        slide, _ = opened(path, 0.5)
        for i, place in enumerate(bag.places):
            original = region(slide, place, 0, (256, 256)).astype(int)
            self.assertLess(numpy.abs(bag.pixels(i) - original).mean(), 3)

    def test_aperio_slides_are_copied_in_their_colours(self):
        (self.work / "svs").mkdir()
        for name in ("slide-001", "slide-003"):
            as_aperio(self.demo / "slides" / f"{name}.tif", self.work / "svs" / f"{name}.svs")
        self.ingest(self.work / "svs")
        store = Store(self.work / "store")
        for name in store.bags:
            path = self.work / "svs" / f"{name}.svs"
            self.assertEqual(openslide.OpenSlide.detect_format(str(path)), "aperio")
            bag = self.check(store, name, path, Rule(), 0.499, True)
            self.assertEqual(bag.mpp, 0.499)
            self.assertEqual((self.report()[name]["format"], self.report()[name]["copied"]),
                             ("aperio", "yes"))
        shutil.rmtree(self.work / "store")
        self.ingest(self.work / "svs", "--codec", "png", "--tile-size", 200)
        self.check(Store(self.work / "store"), "slide-003", self.work / "svs" / "slide-003.svs",
                   Rule(tile=200), 0.499, True)


class Pictures(SlidesTest):
    """JPEG, PNG and TIFF without a pyramid."""

    def check(self, path, pixels, rule, *more):
        height, width = pixels.shape[:2]
        slide = Slide([(width, height, 1.0)], 1.0, lambda level: pixels)
        expected, _, side, _ = kept_tiles(slide, rule)
        self.ingest(path, "--codec", "png", "--tile-size", rule.tile, *more)
        bag = Store(self.work / "store").bags[path.stem]
        self.assertEqual(bag.places, [place for place, _ in expected])
        self.assertGreater(len(expected), 10)
        for i, (x, y) in enumerate(bag.places):
            numpy.testing.assert_array_equal(bag.pixels(i), pixels[y:y + side, x:x + side])
        shutil.rmtree(self.work / "store")

    def test_in_bands(self):
        pixels = blotches(1700, 1300)
        picture = Image.fromarray(pixels)
        picture.save(self.work / "a.png", compress_level=1)
        self.check(self.work / "a.png", pixels, Rule(tile=100), "--level", 0)
        self.check(self.work / "a.png", pixels, Rule(tile=100, overlap=30), "--slide-mpp", 1,
                   "--overlap", 30)
        picture.save(self.work / "b.jpg", quality=92)
        decoded = numpy.asarray(Image.open(self.work / "b.jpg"))
        self.check(self.work / "b.jpg", decoded, Rule(tile=128), "--level", 0)
        picture.convert("CMYK").save(self.work / "c.jpg", quality=92)
        self.ingest(self.work / "c.jpg", "--level", 0)
        self.assertIn("CMYK", self.ingest(self.work / "c.jpg", "--level", 0, store="again").out)

    def test_tiff_in_strips(self):
        pixels = blotches(1100, 900)
        Image.fromarray(pixels).save(self.work / "d.tif", compression="tiff_lzw",
                                     dpi=(25400, 25400))
        self.check(self.work / "d.tif", pixels, Rule(tile=96))
        self.assertEqual(openslide.OpenSlide.detect_format(str(self.work / "d.tif")), None)

    def test_memory_stays_small(self):
        width, height = 16384, 12800  # 630 MB of pixels
        line = numpy.full((64, width, 3), 235, numpy.uint8)
        line[:, :width // 4] = (200, 120, 190)
        squeeze = zlib.compressobj(1)
        with open(self.work / "giant.png", "wb") as file:
            def chunk(kind, data):
                file.write(struct.pack(">I", len(data)) + kind + data
                           + struct.pack(">I", zlib.crc32(kind + data)))
            file.write(b"\x89PNG\r\n\x1a\n")
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            band = b"".join(b"\0" + row.tobytes() for row in line)
            for _ in range(height // 64):
                chunk(b"IDAT", squeeze.compress(band))
            chunk(b"IDAT", squeeze.flush())
            chunk(b"IEND", b"")
        script = ("import resource, subprocess, sys\n"
                  "code = subprocess.run(sys.argv[1:]).returncode\n"
                  "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")

        def peak(*words):
            result = subprocess.run(["python3", "-c", script, PROGRAM, *map(str, words)],
                                    capture_output=True, text=True, timeout=300)
            code, kilobytes = result.stdout.split()[-2:]
            self.assertEqual(code, "0", result.stderr)
            return int(kilobytes) / 1e6

        alone = peak("doctor", "--unsupported")
        with_slide = peak("ingest", self.work / "giant.png", self.work / "store", "--kind", "tiles",
                          "--level", 0, "--tile-size", 512)
        self.assertEqual(len(Store(self.work / "store").bags["giant"].places), 25 * 8)
        self.assertLess(with_slide - alone, 0.25)


class Usage(SlidesTest):
    def test_inspect_tells_of_tiles_and_lays_them_out(self):
        self.ingest(self.demo / "slides", "--labels", self.demo / "labels.csv")
        store = self.work / "store"
        told = json.loads(run("inspect", store, "--json").out)
        bags = Store(store).bags
        self.assertEqual(told["tiles"], sum(len(bag.places) for bag in bags.values()))
        self.assertEqual((told["tile_size"], told["labels"]["label"]), (256, {"normal": 2,
                                                                             "tumor": 2}))
        with open(store / "labels.csv", "a", encoding="utf-8") as file:
            file.write("ghost,tumor,train,p\nslide-004.tif,tumor,train,p\n")
        told = run("inspect", store)
        self.assertIn("labels.csv: 2 rows without a bag", told.out)
        self.assertRegex(told.out, r"tumor +2\n")
        picture = self.work / "bag.png"
        result = run("inspect", store, "--bag", "slide-002", "--picture", picture)
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("0.5 microns a pixel, copied as they are", result.out)
        shown = numpy.asarray(Image.open(picture)).astype(int)
        x, y = bags["slide-002"].places[7]
        side = round(256 * 2048 / 2176)
        left, top = round(x * 2048 / 2176), round(y * 2048 / 2176)
        small = Image.fromarray(bags["slide-002"].pixels(7)).resize((side, side), Image.BILINEAR)
        part = shown[top:top + side, left:left + side]
        self.assertLessEqual(numpy.abs(part[1:-1, 1:-1] - numpy.asarray(small)[1:-1, 1:-1]).max(), 1)
        self.assertEqual(shown.shape[:2], (2048, 2048))
        self.assertTrue((shown[0, 0] == 255).all())

    def test_the_example_in_the_documentation_runs(self):
        self.ingest(self.demo / "slides")
        bags = Store(self.work / "store").bags
        expected = [f"{x} {y} (256, 256)" for name in sorted(bags) for x, y in bags[name].places]
        self.assertEqual(printed_by_example("photometric", self.work / "store"), expected)

    def test_many_ranks_and_a_killed_ingest(self):
        more = ("--labels", self.demo / "labels.csv")
        self.ingest(self.demo / "slides", *more, store="one")
        shared = self.ingest(self.demo / "slides", *more, store="three", ranks=3)
        self.assertIn("kept 4, skipped 0", shared.out)
        fingerprint = self.fingerprint("one")
        self.assertEqual(self.fingerprint("three"), fingerprint)
        self.assertEqual(len(list((self.work / "three").glob("shard-*.h5"))), 3)
        for name in ("labels.csv", "slides.csv"):
            self.assertEqual((self.work / "three" / name).read_text(),
                             (self.work / "one" / name).read_text())
        again = self.ingest(self.demo / "slides", *more, store="three", ranks=2)
        self.assertIn("kept 0, skipped 4", again.out)

        killed = start("ingest", self.demo / "slides", self.work / "killed", "--kind", "tiles",
                       "--jobs", 1, *map(str, more))
        journal = self.work / "killed" / "shard-00000.journal"
        while killed.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= 2:
                killed.kill()
        killed.communicate()
        self.assertFalse((self.work / "killed" / "store.json").exists(), "killed too late")
        rest = self.ingest(self.demo / "slides", *more, store="killed", ranks=2)
        kept, skipped = (int(rest.out.split(word)[1].split()[0].rstrip(",")) for word in
                         ("kept ", "skipped "))
        self.assertEqual(kept + skipped, 4)
        self.assertGreater(skipped, 0)
        self.assertEqual(self.fingerprint("killed"), fingerprint)
        self.assertEqual(list((self.work / "killed").glob("bag-*")), [])

    def fingerprint(self, store):
        return json.loads((self.work / store / "store.json").read_text())["fingerprint"]

    def test_what_cannot_go_together(self):
        slides = self.demo / "slides"
        for options, word in ((("--mpp", 0.5, "--level", 1), "--level and --mpp"),
                              (("--overlap", 256), "--overlap 256 must lie below"),
                              (("--foreground", 1.5), "--foreground 1.5 lies outside"),
                              (("--mpp", 0), "--mpp: 0 is no number above 0"),
                              (("--mpp", -1), "--mpp: -1 is no number above 0"),
                              (("--slide-mpp", 0), "--slide-mpp: 0 is no number above 0"),
                              (("--grey",), "leave them out with --kind tiles")):
            self.assertIn(word, self.ingest(slides, *options, code=64).err)
        self.assertIn("coarser than the 0.1 asked for",
                      self.ingest(slides, "--mpp", 0.1, code=65).err)
        self.assertIn("it has no level 3, only 0 to 2", self.ingest(slides, "--level", 3, code=65).err)


    def test_slides_ask_for_their_kind(self):
        folder = self.work / "slides"
        folder.mkdir()
        shutil.copy(self.demo / "slides" / "slide-001.tif", folder / "a.tif")
        for kind in ("images", "features"):
            for option in ("--mpp", "--magnification", "--level", "--tile-size", "--overlap",
                           "--foreground", "--tissue-threshold", "--specks", "--holes",
                           "--slide-mpp", "--coords"):
                value = folder if option == "--coords" else 1
                result = run("ingest", folder, self.work / "store", "--kind", kind, option, value)
                self.assertEqual(result.code, 64, option)
                self.assertIn(f"{option} is for --kind tiles", result.err)
        (folder / "a.tif").rename(folder / "a.svs")
        for source in (folder, folder / "a.svs"):
            result = run("ingest", source, self.work / "store")
            self.assertEqual(result.code, 64)
            self.assertIn("these are slides, which `dbps ingest --kind tiles` reads", result.err)
        self.assertFalse((self.work / "store").exists())


class BadInput(SlidesTest):
    def make(self):
        """{file: what its line must say}, beside one good slide."""
        folder = self.work / "slides"
        folder.mkdir()
        good = (self.demo / "slides" / "slide-001.tif").read_bytes()
        (folder / "good.tif").write_bytes(good)
        random = numpy.random.default_rng(0)

        def save(name, pixels, mode=None, **options):
            picture = Image.fromarray(pixels)
            (picture.convert(mode) if mode else picture).save(folder / name, **options)

        fine = {"dpi": (25400, 25400)}
        colours = blotches(700, 600)
        (folder / "truncated.tif").write_bytes(good[:len(good) // 2])
        as_aperio(self.demo / "slides" / "slide-001.tif", folder / "cut.svs")
        flipped = bytearray(good)
        flipped[400_000:400_400] = random.bytes(400)
        (folder / "flipped.tif").write_bytes(flipped)
        (folder / "zero.tif").write_bytes(b"")
        (folder / "text.svs").write_text("no slide")
        save("blank.tif", numpy.full((900, 900, 3), (240, 240, 238), numpy.uint8), **fine)
        save("grey.tif", blotches(900, 900), "L", **fine)
        save("no_mpp.tif", colours)
        save("pixel.tif", numpy.zeros((1, 1, 3), numpy.uint8), **fine)
        save("deep.tif", numpy.zeros((600, 600), numpy.uint16), **fine)
        save("sixteen.png", numpy.zeros((600, 600), numpy.uint16))
        save("interlaced.jpg", colours)
        save("cmyk.tif", colours, "CMYK", **fine)
        (folder / "turned.jpg").write_bytes((folder / "interlaced.jpg").read_bytes()[:3000])
        (folder / "interlaced.jpg").unlink()
        (folder / "cut.svs").write_bytes((folder / "cut.svs").read_bytes()[:-600])
        (folder / "locked.tif").write_bytes(good)
        names = sorted(path.name for path in folder.iterdir())
        (folder / "list.csv").write_text("path\n" + "\n".join(names) + "\n")
        return folder, {
            "truncated.tif": "damaged TIFF", "cut.svs": "cut.svs: ",
            "flipped.tif": "damaged JPEG", "zero.tif": "the file is empty",
            "text.svs": "neither a slide", "blank.tif": "no tissue found; look at",
            "grey.tif": "--foreground 0 keeps all; look at",
            "no_mpp.tif": "how many microns a pixel", "pixel.tif": "smaller than one tile",
            "deep.tif": "16 bits a channel", "sixteen.png": "16 bits a channel",
            "turned.jpg": "turned.jpg: "}

    def test_each_is_named_and_the_others_go_on(self):
        folder, reasons = self.make()
        labels = self.work / "labels.csv"
        labels.write_text("id,label\ngood,1\nghost,0\nblank.tif,1\n")
        (folder / "locked.tif").chmod(0)
        as_other = os.geteuid() == 0 and shutil.which("setpriv")
        words = ["ingest", folder / "list.csv", self.work / "store", "--kind", "tiles", "--labels", labels]
        if as_other:  # root may read all
            for path in (self.folder, self.work):
                path.chmod(0o777)
            process = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", PROGRAM,
                                      *map(str, words)], capture_output=True, text=True)
            code, out, err = process.returncode, process.stdout, process.stderr
            reasons["locked.tif"] = "Permission denied"
        elif os.geteuid() != 0:
            reasons["locked.tif"] = "Permission denied"
        if not as_other:
            result = run(*words)
            code, out, err = result.code, result.out, result.err
        self.assertEqual(code, 0, err)
        with open(self.work / "store" / "failed.csv", encoding="utf-8") as file:
            failed = {pathlib.Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
        for name, reason in reasons.items():
            self.assertIn(reason, failed.get(name, "not failed"), name)
            self.assertEqual(failed[name].count("\n"), 0)
        self.assertEqual(set(failed), set(reasons))
        self.assertIn(f"failed {len(reasons)} ", out)
        self.assertEqual(err.count("left out: "), 10 + 1)
        self.assertIn(f"left out: and {len(reasons) - 10} more: {self.work}/store/failed.csv", err)
        self.assertIn("CMYK", out)
        self.assertIn("1 row without a slide of the source: ghost", err)
        self.assertRegex(err, r"slides without a row: .*no_mpp")
        kept = {name for name, row in self.report().items() if row["outcome"] == "kept"}
        self.assertEqual(kept, {"good", "cmyk"} | ({"locked"} - {n[:-4] for n in reasons}))

    def test_a_folder_without_permission_is_named_and_the_others_go_on(self):
        for site in "abc":
            (self.work / "slides" / site).mkdir(parents=True)
            shutil.copy(self.demo / "slides" / "slide-001.tif", self.work / "slides" / site / "1.tif")
        (self.work / "slides" / "b").chmod(0)
        for path in (self.folder, self.work):
            path.chmod(0o777)
        ended = run_as_other("ingest", self.work / "slides", self.work / "store", "--kind", "tiles",
                             "--strict")
        (self.work / "slides" / "b").chmod(0o755)
        self.assertEqual(ended.returncode, 65, ended.stderr)
        line = f"cannot read the folder {self.work / 'slides' / 'b'}: Permission denied"
        self.assertIn("left out: " + line, ended.stderr)
        self.assertIn(line, (self.work / "store" / "failed.csv").read_text())
        self.assertIn("kept 2, skipped 0 (in the store already), failed 1 ", ended.stdout)
        self.assertEqual(set(Store(self.work / "store").bags), {"a/1", "c/1"})

    def test_a_shard_without_permission_is_not_called_damaged(self):
        self.ingest(self.demo / "slides")
        shard = self.work / "store" / "shard-00000.h5"
        for path in (self.folder, self.work):
            path.chmod(0o777)
        shard.chmod(0)
        ended = run_as_other("verify", self.work / "store")
        shard.chmod(0o644)
        self.assertEqual(ended.returncode, 65)
        self.assertIn(f"cannot open {shard}: Permission denied", ended.stdout)
        self.assertIn("1 shard of", ended.stderr)
        self.assertNotIn("damaged", ended.stdout + ended.stderr)

    def test_nothing_kept_ends_with_65(self):
        folder, _ = self.make()
        for name in ("good.tif", "cmyk.tif", "locked.tif"):
            (folder / name).unlink()
        result = self.ingest(folder, code=65)
        self.assertIn("pictures beside slides: 1 .jpg and 1 .png", result.err)
        self.assertIn("none of the slides", result.err)
        self.assertFalse((self.work / "store" / "store.json").exists())
        self.assertTrue((self.work / "store" / "failed.csv").exists())

    def test_two_slides_of_one_id(self):
        folder = self.work / "slides"
        folder.mkdir()
        slide = self.demo / "slides" / "slide-001.tif"
        shutil.copy(slide, folder / "a.tif")
        as_aperio(slide, folder / "a.svs")
        self.ingest(folder)
        self.assertEqual(set(Store(self.work / "store").bags), {"a.tif", "a.svs"})
        one = self.work / "one"
        one.mkdir()
        shutil.copy(slide, one / "b.tif")
        self.ingest(one, store="grown")
        as_aperio(slide, one / "b.svs")
        labels = self.work / "labels.csv"
        labels.write_text("id,label\nb,old\nb.svs,new\n")
        more = self.ingest(one, "--labels", labels, store="grown", ranks=2)
        self.assertIn("kept 1, skipped 1", more.out)
        self.assertEqual(set(Store(self.work / "grown").bags), {"b", "b.svs"})
        (folder / "a.png").write_bytes(b"its thumbnail")
        again = self.ingest(folder)
        self.assertIn("kept 0, skipped 2", again.out)
        table = self.work / "slides.csv"
        table.write_text("path,id\nslides/a.tif,one\nslides/a.svs,one\n")
        result = run("ingest", table, self.work / "other", "--kind", "tiles")
        self.assertEqual(result.code, 65)
        self.assertIn("lines 2 and 3 would both be the bag 'one'", result.err)

    def test_a_slide_that_was_replaced_is_named_and_stays(self):
        folder = self.work / "slides"
        folder.mkdir()
        shutil.copy(self.demo / "slides" / "slide-001.tif", folder / "a.tif")
        self.ingest(folder)
        self.assertNotIn("stays as it is", self.ingest(folder).err)
        before = Store(self.work / "store").bags["a"].encoded
        shutil.copy(self.demo / "slides" / "slide-002.tif", folder / "a.tif")
        again = self.ingest(folder, ranks=2)
        self.assertIn("kept 0, skipped 1", again.out)
        line = f"'a' stays as it is in {self.work / 'store'}, but {folder / 'a.tif'} has changed since"
        self.assertEqual(again.err.count(line), 1)
        self.assertIn("the id counts", again.err)
        self.assertEqual(Store(self.work / "store").bags["a"].encoded, before)

    def test_pictures_stay_in_the_store_where_an_id_climbs(self):
        (self.work / "lists").mkdir()
        table = self.work / "lists" / "l.csv"
        shutil.copy(self.demo / "slides" / "slide-001.tif", self.work / "s.tif")
        table.write_text("path\n../s.tif\n")
        self.assertEqual(run("ingest", table, self.work / "store", "--kind", "tiles").code, 0)
        self.assertEqual(set(Store(self.work / "store").bags), {"../s"})
        self.assertTrue((self.work / "store" / "slides" / "up" / "s-mask.png").exists())
        self.assertFalse((self.work / "store" / "s-mask.png").exists())

    def test_a_grey_slide_is_kept_whole_where_asked_for(self):
        Image.fromarray(blotches(900, 900)).convert("L").save(self.work / "a.tif", dpi=(25400, 25400))
        self.assertIn("the slide has none", self.ingest(self.work / "a.tif", code=65).err)
        self.ingest(self.work / "a.tif", "--foreground", 0, store="all")
        self.assertEqual(len(Store(self.work / "all").bags["a"].places), 9)

    def test_mpp_of_a_row(self):
        Image.fromarray(blotches(900, 900)).save(self.work / "a.png")
        table = self.work / "list.csv"
        for cell, code in (("0.3", 0), ("wide", 65)):
            table.write_text(f"path,mpp\na.png,{cell}\n")
            result = run("ingest", table, self.work / cell, "--kind", "tiles")
            self.assertEqual(result.code, code, result.err)
        self.assertIn("mpp 'wide' in its row is no number above 0", result.err)
        self.assertEqual(Store(self.work / "0.3").bags["a"].mpp, 0.3)


if __name__ == "__main__":
    unittest.main()

"""Slides by OpenSlide 4, the wheel openslide-bin, beside the OpenSlide of this machine; and DICOM slides,
which version 4 alone reads."""

import json
import pathlib
import shutil
import tempfile
import unittest

import numpy

from harness import run
from slides_test import Store, as_aperio, blotches

try:
    import openslide_bin
    import pydicom
    FOUR = {"LD_LIBRARY_PATH": str(pathlib.Path(openslide_bin.__file__).parent)}
except ImportError:
    FOUR = None

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def version(env=None):
    lines = [line.split() for line in run("doctor", env=env).out.splitlines()]
    return next(words[1] for words in lines if words[:1] == ["openslide"])


def write_dicom(path, pixels, series, mpp, tile=128):
    """A level of a slide: tiles of RGB without compression, so that every pixel is as it was."""
    height, width = pixels.shape[:2]
    down, across = -(-height // tile), -(-width // tile)
    whole = numpy.zeros((down * tile, across * tile, 3), numpy.uint8)
    whole[:height, :width] = pixels
    frames = whole.reshape(down, tile, across, tile, 3).swapaxes(1, 2)
    spacing = pydicom.Dataset()
    spacing.PixelSpacing = [mpp / 1000, mpp / 1000]
    groups = pydicom.Dataset()
    groups.PixelMeasuresSequence = [spacing]
    level = pydicom.Dataset()
    level.SOPClassUID = WHOLE_SLIDE
    level.SOPInstanceUID = pydicom.uid.generate_uid()
    level.SeriesInstanceUID = series
    level.Modality = "SM"
    level.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    level.DimensionOrganizationType = "TILED_FULL"
    level.TotalPixelMatrixColumns, level.TotalPixelMatrixRows = width, height
    level.Columns = level.Rows = tile
    level.NumberOfFrames = down * across
    level.SamplesPerPixel, level.PlanarConfiguration, level.PixelRepresentation = 3, 0, 0
    level.BitsAllocated, level.BitsStored, level.HighBit = 8, 8, 7
    level.PhotometricInterpretation = "RGB"
    level.SharedFunctionalGroupsSequence = [groups]
    level.PixelData = frames.tobytes()
    level.file_meta = pydicom.dataset.FileMetaDataset()
    level.file_meta.MediaStorageSOPClassUID = WHOLE_SLIDE
    level.file_meta.MediaStorageSOPInstanceUID = level.SOPInstanceUID
    level.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    level.save_as(path, enforce_file_format=True)


@unittest.skipUnless(FOUR, "openslide-bin and pydicom are not here: ./launcher/setup --tests")
class OpenSlideTest(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="dbps-openslide-"))
        self.addCleanup(shutil.rmtree, self.work)
        self.assertTrue(version(FOUR).startswith("4."), version(FOUR))

    def ingest(self, source, store, *more, env=FOUR, code=0):
        result = run("ingest", source, self.work / store, "--kind", "tiles", *more, env=env)
        self.assertEqual(result.code, code, result.err + result.out)
        return result


class BothVersions(OpenSlideTest):
    def test_the_same_stores(self):
        if version().startswith("4."):
            self.skipTest("the OpenSlide of this machine is of version 4 too")
        made = run("make-demo", self.work / "demo", "--slides", "--canvas", 2048, "--train", 2,
                   "--validation", 0, "--test", 0)
        self.assertEqual(made.code, 0, made.err)
        slides = self.work / "slides"
        slides.mkdir()
        for name in ("slide-000", "slide-001"):  # JPEG tiles of RGB, and of YCbCr
            as_aperio(self.work / "demo" / "slides" / f"{name}.tif", slides / f"{name}.svs")
        for how, copied in (((), True), (("--mpp", 0.7, "--codec", "png"), False),
                            (("--level", 1, "--tile-size", 64, "--codec", "png"), False)):
            with self.subTest(how=how):
                for store, env in (("three", None), ("four", FOUR)):
                    shutil.rmtree(self.work / store, ignore_errors=True)
                    self.ingest(slides, store, *how, env=env)
                three, four = Store(self.work / "three").bags, Store(self.work / "four").bags
                self.assertEqual(set(four), {"slide-000", "slide-001"})
                for name, bag in four.items():
                    self.assertGreater(len(bag.places), 5)
                    self.assertEqual(bag.photometric != "", copied)
                    self.assertEqual(vars(bag), vars(three[name]))
                fingerprint = [json.loads((self.work / store / "store.json").read_text())["fingerprint"]
                               for store in ("three", "four")]
                self.assertEqual(*fingerprint)


class Dicom(OpenSlideTest):
    def setUp(self):
        super().setUp()
        self.pixels = {"a": blotches(700, 900, 1), "b": blotches(800, 600, 2)}
        for name, pixels in self.pixels.items():
            series = pydicom.uid.generate_uid()
            for file, step in (("0", 4), ("1", 1)):  # the first file is not the largest level
                write_dicom(self.work / "slides" / "normal" / name / f"{file}.dcm",
                            numpy.ascontiguousarray(pixels[::step, ::step]), series, 0.5 * step)

    def check(self, bag, pixels):
        self.assertEqual((bag.width, bag.height, bag.mpp), (*pixels.shape[1::-1], 0.5))
        self.assertGreater(len(bag.places), 5)
        for i, (x, y) in enumerate(bag.places):
            numpy.testing.assert_array_equal(bag.pixels(i), pixels[y:y + 64, x:x + 64])

    def test_a_folder_is_a_slide(self):
        (self.work / "slides" / "normal" / "b" / "0-empty.dcm").write_bytes(b"")
        done = self.ingest(self.work / "slides", "store", "--tile-size", 64, "--codec", "png")
        self.assertIn("kept 2, skipped 0", done.out)
        self.assertIn("1 .dcm", done.err)
        bags = Store(self.work / "store").bags
        self.assertEqual(set(bags), {"normal/a", "normal/b"})
        for name, pixels in self.pixels.items():
            self.check(bags[f"normal/{name}"], pixels)
        rows = (self.work / "store" / "labels.csv").read_text().split()
        self.assertEqual(rows[1:], ["normal/a,normal", "normal/b,normal"])
        self.ingest(self.work / "slides" / "normal" / "a", "alone", "--tile-size", 64, "--codec", "png")
        self.check(Store(self.work / "alone").bags["a"], self.pixels["a"])

    def test_slides_that_share_a_folder_are_named_one_by_one(self):
        flat = self.work / "flat"
        flat.mkdir()
        for name in self.pixels:
            for file in ("0", "1"):
                shutil.copy(self.work / "slides" / "normal" / name / f"{file}.dcm",
                            flat / f"{name}{file}.dcm")
        refused = self.ingest(flat, "store", code=64).err
        self.assertIn("flat holds files of two DICOM slides (a0.dcm and b0.dcm)", refused)
        table = flat / "slides.csv"
        table.write_text("id,path\na,a0.dcm\nb,b1.dcm\n")
        self.ingest(table, "store", "--tile-size", 64, "--codec", "png")
        bags = Store(self.work / "store").bags
        for name, pixels in self.pixels.items():
            self.check(bags[name], pixels)

    def test_version_3_says_what_is_missing(self):
        if version().startswith("4."):
            self.skipTest("the OpenSlide of this machine is of version 4 too")
        self.ingest(self.work / "slides", "store", env=None, code=65)
        failed = (self.work / "store" / "failed.csv").read_text().splitlines()
        self.assertEqual(len(failed), 3)
        self.assertIn("such slides need OpenSlide 4", failed[1])


if __name__ == "__main__":
    unittest.main()

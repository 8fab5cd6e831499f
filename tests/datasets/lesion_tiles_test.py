"""datasets/lesion_tiles.py beside regions that Pillow paints."""

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

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "datasets" / "lesion_tiles.py"
PROGRAM = os.environ["DBPS_PROGRAM"]
SIDE = 128  # of a tile at level 0: 64 pixels, each two of level 0
CANVAS = 2048


def star(seed, x, y, radius, points=40):
    """A polygon with dents, turned either way."""
    random = numpy.random.default_rng(seed)
    angle = numpy.sort(random.uniform(0, 2 * numpy.pi, points))[::random.choice([1, -1])]
    far = radius * random.uniform(0.4, 1, points)
    return numpy.stack([x + far * numpy.cos(angle), y + far * numpy.sin(angle)], axis=1).round(1)


def asap(polygons):
    """The file that ASAP writes of [(group, points)]; corners in no order of the lines."""
    text = '<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations>\n'
    for i, (group, points) in enumerate(polygons):
        text += (f'<Annotation Name="Annotation {i}" Type="Polygon" PartOfGroup="{group}" '
                 'Color="#F4FA58"><Coordinates>\n')
        for order in reversed(range(len(points))):
            x, y = points[order]
            text += f'<Coordinate Order="{order}" X="{x}" Y="{y}" />\n'
        text += "</Coordinates></Annotation>\n"
    return text + "\t</Annotations>\n\t<AnnotationGroups />\n</ASAP_Annotations>\n"


class LesionTiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.xml = self.folder / "xml"
        self.xml.mkdir()
        places = numpy.arange(0, CANVAS, SIDE)
        grid = numpy.stack(numpy.meshgrid(places, places), axis=-1).reshape(-1, 2)
        self.places = {"tumor/a": grid, "tumor/b": grid[::3] + 17, "normal/c": grid[:5]}
        for slide, places in self.places.items():
            path = self.folder / "features" / f"{slide}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                file["features"] = numpy.zeros((len(places), 4), numpy.float32)
                file["coords"] = places
                file["coords"].attrs.update({"patch_size": SIDE // 2, "patch_size_level0": SIDE})
        self.store = self.folder / "store"
        subprocess.run([PROGRAM, "ingest", self.folder / "features", self.store, "--kind",
                        "features", "--strict", "-q"], check=True, capture_output=True)

    def run_script(self, regions, *arguments, code=0):
        result = subprocess.run([sys.executable, SCRIPT, self.store, regions, *arguments],
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout if code == 0 else result.stderr

    def shares(self, regions, *arguments):
        """{(id, index): share}; the corners in the CSV are the tiles'."""
        self.run_script(regions, "--out", self.folder / "tiles.csv", *arguments)
        shares = {}
        with (self.folder / "tiles.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                place = self.places[row["id"]][int(row["index"])]
                self.assertEqual((int(row["x"]), int(row["y"])), tuple(place))
                shares[row["id"], int(row["index"])] = float(row["share"])
        return shares

    def painted(self, slide, lesions, cut_out=()):
        """The same by pixels, lesions that do not overlap."""
        mask = Image.new("L", (2 * CANVAS, 2 * CANVAS))
        draw = ImageDraw.Draw(mask)
        for value, polygons in ((1, lesions), (0, cut_out)):
            for points in polygons:
                draw.polygon([tuple(point) for point in points], fill=value)
        pixels = numpy.asarray(mask)
        return {(slide, i): pixels[y:y + SIDE, x:x + SIDE].mean()
                for i, (x, y) in enumerate(self.places[slide])}

    def assert_alike(self, found, painted):
        self.assertGreater(sum(share > 0.02 for share in painted.values()), 10)
        self.assertGreater(sum(share == 0 for share in painted.values()), 10)
        for tile, share in painted.items():
            self.assertAlmostEqual(found.get(tile, 0), share, delta=0.02, msg=tile)

    def test_polygons_with_parts_cut_out(self):
        a = [star(1, 500, 600, 420), star(2, 1500, 1400, 500)]
        hole = star(3, 1500, 1400, 150)
        b = [star(4, 900, 900, 700)]
        (self.xml / "a.xml").write_text(asap([("_0", a[0]), ("_1", a[1]), ("_2", hole)]))
        (self.xml / "b.xml").write_text(asap([("Tumor", b[0]), ("None", b[0][:2])]))
        found = self.shares(self.xml)
        self.assert_alike(found, {**self.painted("tumor/a", a, [hole]),
                                  **self.painted("tumor/b", b)})
        (self.folder / "partly").write_text("b\n")
        only_a = self.shares(self.xml, "--leave-out", self.folder / "partly")
        self.assertEqual(only_a, {tile: s for tile, s in found.items() if tile[0] == "tumor/a"})

    def test_a_tile_inside_and_one_beside(self):
        corner = numpy.array([[0, 0], [0, SIDE], [SIDE, SIDE], [SIDE, 0]])
        (self.xml / "a.xml").write_text(asap([("_0", corner)]))
        self.assertEqual(self.shares(self.xml), {("tumor/a", 0): 1})
        (self.xml / "a.xml").write_text(asap([("_0", corner + (SIDE / 2, 0))]))
        self.assertEqual(self.shares(self.xml), {("tumor/a", 0): 0.5, ("tumor/a", 1): 0.5})
        (self.xml / "a.xml").write_text(asap([("_0", corner), ("_2", corner)]))
        self.assertEqual(self.shares(self.xml), {})

    def test_ellipses(self):
        (self.folder / "lesions.csv").write_text(
            "id,x,y,width,height\ntumor/a,300,200,900,600\nother,1,2,3,4\n")
        angle = numpy.arange(1000) / 1000 * 2 * numpy.pi
        drawn = numpy.stack([750 + 450 * numpy.cos(angle), 500 + 300 * numpy.sin(angle)], axis=1)
        self.assert_alike(self.shares(self.folder / "lesions.csv"), self.painted("tumor/a", [drawn]))

    def test_hits_of_predictions(self):
        corner = numpy.array([[0, 0], [0, SIDE], [2 * SIDE, SIDE], [2 * SIDE, 0]])
        (self.xml / "a.xml").write_text(asap([("_0", corner)]))
        chosen = [{"index": i, "x": 0, "y": 0, "score": 1} for i in (1, 5, 0, 7)]
        lines = [{"id": slide, "salient": chosen} for slide in ("tumor/a", "normal/c")]
        predictions = self.folder / "predictions.jsonl"
        predictions.write_text("".join(json.dumps(line) + "\n" for line in lines))
        told = self.run_script(self.xml, "--predictions", predictions)
        self.assertIn("tumor/a: 2 of 4\n1 slides: 2 of their 4 best", told)
        self.assertIn("2 of 256 tiles", told)
        told = self.run_script(self.xml, "--predictions", predictions, "--top", "1")
        self.assertIn("tumor/a: 1 of 1\n", told)
        predictions.write_text('{"id": "tumor/a", "salient": [{"index": 999}]}\n')
        self.assertIn("jsonl:1", self.run_script(self.xml, "--predictions", predictions, code=65))

    def test_what_cannot_be_read(self):
        self.assertIn("holds no .xml", self.run_script(self.xml, code=65))
        (self.xml / "a.xml").write_text("<ASAP_Annotations>")
        self.assertIn("a.xml", self.run_script(self.xml, code=65))
        (self.xml / "a.xml").write_text(asap([("_0", numpy.full((3, 2), "left"))]))
        self.assertIn("a.xml", self.run_script(self.xml, code=65))
        (self.folder / "x.csv").write_text("id,x,y\na,1,2\n")
        self.assertIn("x.csv", self.run_script(self.folder / "x.csv", code=65))


if __name__ == "__main__":
    unittest.main()

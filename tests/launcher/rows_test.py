"""Every row of the paper's tables: its configuration loads, its model is built, and N, kept patches
and scan step are those of the paper's arithmetic, computed here from the print alone."""

import csv
import json
import math
import os
import pathlib
import subprocess
import sys
import unittest
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "launcher"))
from paper import rows as paper_rows  # noqa: E402

# The paper's settings: height, width, patch, N, L, encoder, classes. Slides have up to 70,000 tiles;
# the paper gives 500 to 5000 for their L.
SETTINGS = {
    "cqu_bpdd": (900, 1200, 100, 108, 32, "resnet18", 7),
    "fmow": (900, 900, 100, 81, 23, "resnet18", 10),
    "ddr": (1200, 1200, 200, 36, 16, "resnet50", 5),
    "mame": (1000, 1000, 100, 100, 32, "resnet18", 29),
    "traffic_signs": (1200, 1600, 100, 192, 32, "resnet18", 4),
    "camelyon16": (0, 0, 0, 70000, 5000, "features", 1),
    "megapixel_mnist": (1500, 1500, 50, 900, 100, "resnet18", None),
    "demo": (256, 256, 32, 64, 16, "tiny", 5),
    "demo_alike": (256, 256, 32, 64, 16, "tiny", 5),
}
DEMO_M_S = (6, 12)
ENCODER_PARAMETERS = {"resnet18": 11_176_512, "resnet50": 23_508_032}
PROJECTOR_PARAMETERS = {"resnet18": 0, "resnet50": 2048 * 512 + 512 + 2 * 512}
ATTENTION = {"IPSformer", "IPS", "DBPSformer", "dual buffer", "dual buffer + dual attention",
             "RPSformer"}
OURS = ATTENTION | {"DeepMIL", "TopMIL", "ResNet-18", "ResNet-50"}


def attention_parameters(width, classes):
    """One query; W_q, W_k, W_v, W_o; two LayerNorms; the MLP; the head."""
    mlp = 2 * width * 4 * width + 4 * width + width
    return width + 4 * width * width + 2 * 2 * width + mlp + width * classes + classes


def printed():
    with open(ROOT / "datasets" / "paper_tables.csv", newline="", encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line["method"] in OURS]


def ask(questions):
    """The probe's answers, all in one process."""
    text = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([os.environ["DBPS_PROBE"]], input=text, capture_output=True, text=True,
                          timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Rows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = [row for table in paper_rows.TABLES for data in paper_rows.data_of(table)
                    for row in paper_rows.rows_of(table, data)]
        replies = ask([{"config": str(ROOT / row.config), "set": cls.overrides(row)}
                       for row in cls.rows])
        cls.answers = list(zip(cls.rows, replies, strict=True))
        print(f"{len(cls.rows)} rows")

    @staticmethod
    def overrides(row):
        """With random weights, and without a store to tell the width of its vectors."""
        vectors = ["encoder.features.width_in=2048"] if row.data == "camelyon16" else []
        return [*row.overrides(), 'encoder.weights=""', *vectors]

    def test_every_printed_row_is_there(self):
        lines = printed()
        self.assertEqual(len(lines), 97)
        ours = {(r.table, r.data, r.method, p.value, p.vram_gb, p.time_ms) for r in self.rows
                for p in r.printed}
        for line in lines:
            names = ("table", "data", "method", "value", "vram_gb", "time_ms")
            self.assertIn(tuple(line[name] for name in names), ours)

    def test_all_load_and_build(self):
        for row, reply in self.answers:
            self.assertNotIn("error", reply, f"{row.data} {row.label()}: {reply}")
            self.assertGreater(reply["parameters"], 10_000)

    def test_patches(self):
        for row, reply in self.answers:
            height, width, patch, count, *_ = SETTINGS[row.data]
            if row.method.startswith("ResNet"):
                self.assertEqual(reply["patches"], 1)
            else:
                self.assertEqual(reply["patches"], count, row.label())
                if patch:
                    self.assertEqual((height // patch) * (width // patch), count)

    def test_kept_and_step(self):
        for row, reply in self.answers:
            count, step = SETTINGS[row.data][3:5]
            if row.method.startswith(("ResNet", "DeepMIL")):
                continue
            ratio = Fraction(row.drop) if row.erase == "none" else Fraction(0)
            salient = row.salient if row.salient is not None else self.configured_m(row)
            salient = min(salient, count)
            kept = math.ceil((1 - ratio) * (count - salient)) + salient
            with self.subTest(row.label()):
                self.assertEqual(reply["kept"], kept)
                self.assertEqual(reply["step"], math.ceil(step * (1 - ratio)))

    def configured_m(self, row):
        return 100 if row.data == "megapixel_mnist" else DEMO_M_S[0]

    def test_printed_settings_reach_the_configuration(self):
        for line in printed():
            matches = [row for row in self.rows if (row.table, row.data, row.method) ==
                       (line["table"], line["data"], line["method"])
                       and Fraction(row.drop) == Fraction(line["drop_ratio"] or 0)
                       and row.scale == line["scale"]
                       and (row.printed[0].value, row.printed[0].time_ms) ==
                       (line["value"], line["time_ms"])
                       and line["s"] in ("", str(row.sub_salient))
                       and line["m"] in ("", str(row.salient))]
            self.assertEqual(len(matches), 1, line)
            keys = matches[0].settings()
            if line["m"] and line["method"] != "DeepMIL":
                self.assertEqual(keys["selection.salient"], line["m"])
                self.assertEqual(keys.get("selection.salient_eval", line["m"]), line["m_eval"])
            if line["s"]:
                self.assertEqual(keys["selection.sub_salient"], line["s"])
            if line["method"].startswith("ResNet"):
                height, width = SETTINGS[line["data"]][:2]
                scale = Fraction(line["scale"])
                for key, size in (("data.height", height), ("data.width", width)):
                    self.assertEqual(int(keys[key]), math.floor(size * scale + Fraction(1, 2)))

    def test_parameters(self):
        for row, reply in self.answers:
            encoder, classes = SETTINGS[row.data][5:]
            if encoder not in ENCODER_PARAMETERS or classes is None:
                continue
            expected = ENCODER_PARAMETERS[encoder]
            if row.method in ATTENTION:
                expected += PROJECTOR_PARAMETERS[encoder] + attention_parameters(512, classes)
            elif row.method.startswith("ResNet"):
                width = 2048 if encoder == "resnet50" else 512
                expected += width * classes + classes
            else:
                continue
            self.assertEqual(reply["parameters"], expected, row.label())

    def test_equal_names_are_equal_settings(self):
        names = {}
        for row in self.rows:
            settings = (row.config, row.overrides())
            self.assertEqual(names.setdefault(row.run_name(0), settings), settings)
        self.assertGreater(len(names), 90)


if __name__ == "__main__":
    unittest.main()

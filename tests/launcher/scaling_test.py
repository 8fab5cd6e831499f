"""launcher/scaling beside sums done by hand, and fed by the program's own `bench --json`."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SCALING = pathlib.Path(__file__).resolve().parents[2] / "launcher" / "scaling"
PROGRAM = None
RATES = ("--scan", 400, "--gradient", 50, "--decode", 4e8, "--read", 1e9, "--link", 1e8)
EQUAL = ("--bags", 32, "--patches", 1000, 1000, "--patch-side", 200, "--patch-bytes", 1e4,
         "--salient", 100, "--drop", 0.5, "--batch", 16, "--parameter-bytes", 4e7, "--width", 500)


def scaling(*words, code=0):
    done = subprocess.run([sys.executable, SCALING, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


def row_of(gpus, *words):
    rows = scaling("--json", *words)["rows"]
    return next(row for row in rows if row["gpus"] == gpus)


class Scaling(unittest.TestCase):
    def test_one_gpu_by_hand(self):
        # 550 kept of a bag, 100 of them again; a patch has 4 times the pixels of one of 100 x 100.
        row = row_of(1, *RATES, *EQUAL)
        self.assertEqual((row["steps"], row["group"], row["idle"]), (2, 1, 0))
        self.assertAlmostEqual(row["scan"], 32 * 550 * 4 / 400)
        self.assertAlmostEqual(row["gradient"], 32 * 100 * 4 / 50)
        self.assertAlmostEqual(row["feed"], 32 * 650 * 40000 / 4e8)
        self.assertAlmostEqual(row["seconds"], row["scan"] + row["gradient"] + row["feed"])
        self.assertAlmostEqual(row["read_bytes_a_node"], 32 * 650 * 1e4)
        self.assertEqual((row["sent_bytes_a_gpu"], row["sum"]), (0, 0))

    def test_a_gpu_hides_reading_or_waits_for_it(self):
        row = row_of(1, *RATES, *EQUAL, "--device", "gpu")
        self.assertAlmostEqual(row["seconds"], row["scan"] + row["gradient"])
        row = row_of(1, *RATES, *EQUAL, "--device", "gpu", "--read", 1e5)
        self.assertAlmostEqual(row["seconds"], 32 * 650 * 1e4 / 1e5)

    def test_many_gpus_by_hand(self):
        row = row_of(64, *RATES, *EQUAL, "--patch-group", 4, "--link", 2e7)
        self.assertEqual(row["nodes"], 8)
        self.assertAlmostEqual(row["scan"], 32 * 550 * 4 / 400 / 64)
        self.assertAlmostEqual(row["read_bytes_a_node"], 32 * 650 * 1e4 / 8)
        sent = 2 * 2 * 63 / 64 * 4e7 + 2 * 100 * 500 * 4 * 3 / 4
        self.assertAlmostEqual(row["sent_bytes_a_gpu"], sent)
        self.assertAlmostEqual(row["sum"], sent / 2e7)
        hidden = 2 / 3 * row["gradient"]
        self.assertAlmostEqual(row["seconds"],
                               row["scan"] + row["gradient"] + row["feed"] + row["sum"] - hidden)

    def test_uneven_bags_idle_as_the_programs_plan_says(self):
        # docs/how_it_works.md, and tests/data/plan_test.cpp: 6, 34 and 54 %.
        for batch, idle in ((16, 0.06), (8, 0.34), (4, 0.54)):
            row = row_of(4, "--patches", 1000, 100000, "--bags", 4000, "--drop", 0, "--batch", batch,
                         "--patch-group", 1)
            self.assertAlmostEqual(row["idle"], idle, delta=0.03)

    def test_nothing_is_assumed(self):
        for row in scaling("--json")["rows"]:
            self.assertIsNone(row["seconds"])
            self.assertGreater(row["read_bytes_a_node"], 0)
        rows = scaling("--json", *RATES[:-2])["rows"]
        self.assertIsNotNone(rows[0]["seconds"])
        self.assertIsNone(rows[1]["seconds"])  # no link was measured
        self.assertIn("| 64 | 8 |", scaling())

    def test_the_page_shows_what_its_command_prints(self):
        page = (SCALING.parents[1] / "docs" / "scaling.md").read_text()
        (command,) = re.findall(r"^    launcher/scaling (--scan .*)$", page, re.M)
        self.assertIn(scaling(*command.split()).strip(), page)

    def test_takes_what_the_program_measures(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = pathlib.Path(folder) / "bench.json"
            bench.write_text(subprocess.run(
                [PROGRAM, "bench", "--json", "--rounds", "1", "--seconds", "0.001", "--megabytes", "2",
                 "--patches", "2", "--pictures", "1", "--threads", "2"], check=True,
                capture_output=True, text=True).stdout)
            measured = {one["name"]: one["comparisons"]
                        for one in json.loads(bench.read_text())["benchmarks"]}
            out = scaling("--json", "--bench", bench, "--link", 1e9)
            of_scan = [one["subject"]["median"] for one in measured["scan"]
                       if one["name"] == "fp32, 2 threads"]
            self.assertAlmostEqual(out["rates"]["scan"], of_scan[0] * 1e4)
            whole = [one["subject"]["median"] for one in measured["step"]
                     if one["name"] == "fp32, 2 threads"]
            self.assertGreater(out["rates"]["gradient"], 12 * whole[0] * 1e4)
            self.assertIsNotNone(out["rows"][-1]["seconds"])
            alone = json.loads(bench.read_text())
            self.assertIn("one rank", scaling("--reduce", bench, code=1))
            alone["machine"]["ranks"] = 4
            bench.write_text(json.dumps(alone))
            reduced = scaling("--json", "--reduce", bench)["rates"]["link"]
            self.assertAlmostEqual(reduced,
                                   measured["reduce"][0]["subject"]["median"] * 1e6 * 1.5)
            bench.write_text("{}")
            self.assertIn("bench.json", scaling("--bench", bench, code=1))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()

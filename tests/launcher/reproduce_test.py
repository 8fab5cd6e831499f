"""launcher/reproduce on small data: interrupted and gone on, what it writes, what it refuses."""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "launcher"))
from paper import figures, page, runs  # noqa: E402
from paper import rows as paper_rows  # noqa: E402

REPRODUCE = ROOT / "launcher" / "reproduce"
SMALL = ("data.height=128", "data.width=128", "selection.salient=4", "selection.scan_patches=6",
         "aggregator.mlp_width=32", "optimizer.warmup_epochs=1")


class Small(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-reproduce-"))
        subprocess.run([ROOT / "launcher" / "dbps", "make-demo", cls.folder / "demo", "--canvas",
                        "128", "--train", "32", "--validation", "10", "--test", "10", "--digits",
                        "4", "5", "--distractors", "4", "6"], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def command(self, epochs, *more):
        sets = (*SMALL, f"training.epochs={epochs}", f"data.store={self.folder / 'demo' / 'store'}")
        return [REPRODUCE, "table2", "--data", "demo", "--output", self.folder / "runs",
                *(word for text in sets for word in ("--set", text)), *more]

    def run_it(self, *command):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)

    def steps(self, name):
        lines = (self.folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
        return [event["step"] for event in map(json.loads, lines) if event["event"] == "step"]

    def test_interrupted_and_gone_on(self):
        command = self.command(60, "--seeds", "2", "--only", "dbps-cross_attention")
        first, second = (f"demo-dbps-cross_attention-r0-seed{seed}" for seed in (0, 1))
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True,
                                   stdout=subprocess.DEVNULL)
        metrics = self.folder / "runs" / first / "metrics.jsonl"
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up and not (metrics.is_file() and metrics.stat().st_size):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn("the same command goes on", errors)
        stopped_at = self.steps(first)[-1]
        self.assertLess(stopped_at, 120)
        self.assertFalse((self.folder / "runs" / second / "metrics.jsonl").exists())

        done = self.run_it(*command)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in (first, second):
            self.assertEqual(self.steps(name), list(range(1, 121)))
        self.assertIn('{"event":"resume"', metrics.read_text())

        before = metrics.read_bytes()
        again = self.run_it(*command)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("2 of 2 runs are finished already", again.stderr)
        self.assertEqual(metrics.read_bytes(), before)

        self.check_table()
        other = self.run_it(*self.command(50, "--only", "dbps-cross_attention"))
        self.assertEqual(other.returncode, 64)
        self.assertIn("was begun with other settings", other.stderr)

    def check_table(self):
        folder = self.folder / "runs" / "table2-demo"
        text = (folder / "table.md").read_text()
        row = next(line for line in text.splitlines() if line.startswith("| dual buffer: r = 0 "))
        tests = [json.loads((self.folder / "runs" / f"demo-dbps-cross_attention-r0-seed{seed}" /
                             "test-best.json").read_text()) for seed in (0, 1)]
        mean = 50 * sum(test["tasks"]["digit"]["accuracy"] for test in tests)
        self.assertIn(f"| {mean:.1f} ± ", row)
        self.assertIn("2 of 2", row)
        self.assertIn("82.2 (cqu_bpdd)", row)
        self.assertEqual(text.count("| not run |"), 8)
        html = (folder / "table.html").read_text()
        self.assertIn("prefers-color-scheme: dark", html)
        self.assertIsNone(re.search(r'(src|href)="http', html))

    def test_data_that_is_not_here(self):
        output = self.folder / "absent"
        done = self.run_it(REPRODUCE, "table1", "--data", "mame", "--output", output)
        self.assertEqual(done.returncode, 65)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        self.assertIn('data.store = "../stores/mame" holds no store', done.stderr)
        text = (output / "table1-mame" / "table.md").read_text()
        self.assertIn("86.8", text)
        self.assertEqual(text.count("| not run |"), 13)

    def test_refusals(self):
        for command in (["table9"], ["table2", "--data", "mame"], ["table2", "--seeds", "0"]):
            done = self.run_it(REPRODUCE, *command)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_slurm_array(self):
        done = self.run_it(REPRODUCE, "table2", "--data", "fmow", "--seeds", "2", "--print-slurm")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("#SBATCH --array=0-17\n", done.stdout)
        self.assertEqual(done.stdout.count(" run=("), 18)
        checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False)
        self.assertEqual(checked.returncode, 0)


class Figures(unittest.TestCase):
    def test_summary(self):
        found = figures.summary([80.0, 82.0, 84.0, 81.0, 83.0])
        self.assertAlmostEqual(found.mean, 82.0)
        self.assertAlmostEqual(found.sd, 2.5 ** 0.5)
        self.assertAlmostEqual(found.half, 2.776 * (2.5 / 5) ** 0.5, places=3)
        self.assertEqual(page.difference_text(figures.summary([1.5])), "+1.5 (n = 1)")

    def test_difference_pairs_seeds(self):
        row = paper_rows.rows_of("table2", "fmow")[0]

        def result(values):
            return figures.Result(row, values, values, [], "", False, 3)

        one, other = result({0: 80.0, 1: 90.0, 2: 85.0}), result({0: 79.0, 1: 88.0, 3: 50.0})
        self.assertEqual(one.difference(other).count, 2)
        self.assertAlmostEqual(one.difference(other).mean, 1.5)

    def test_time_leaves_out_the_first_batch_and_reading(self):
        class Fake:
            folder = pathlib.Path("nowhere")

            def events(self, _kind):
                step = {"images": 16, "device_bytes_peak": 7}
                return [{**step, "seconds": 9.0, "phases": {"read": 0}},
                        {**step, "seconds": 0.3, "phases": {"read": 0.1}},
                        {**step, "seconds": 0.1, "phases": {}, "images": 8}]

        self.assertAlmostEqual(figures.cost(Fake()).milliseconds, 200)
        self.assertEqual(figures.cost(Fake()).bytes, 7)

    def test_inference_costs_what_eval_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            run = runs.Run(paper_rows.rows_of("table3", "fmow")[0], 0, pathlib.Path(folder))
            run.folder.mkdir()
            measured = {"device": "cpu", "batch": 16, "seconds_a_batch": 0.25, "bytes_peak": 9}
            for inference, expected in ((measured, (250, 9)), ({**measured, "batch": 8}, (None, None)),
                                        (None, (None, None))):
                run.evaluation_file("best").write_text(json.dumps({"inference": inference}))
                found = figures.inference_cost(run)
                self.assertEqual((found.milliseconds, found.bytes), expected)


if __name__ == "__main__":
    unittest.main()

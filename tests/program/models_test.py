"""Short whole runs, of several tasks at once, of what a configuration can put together."""

import csv
import json
import unittest

from harness import ProgramTest, run

TASKS = """
[[task]]
name = "parts"
kind = "multilabel"
classes = ["even", "high"]
[[task]]
name = "large"
kind = "binary"
"""


class Models(ProgramTest):
    """Three tasks (multiclass, multilabel, binary) that the demo's digit answers."""

    def setUp(self):
        super().setUp()
        with open(self.store / "labels.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        labels = self.work / "labels.csv"
        with open(labels, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["id", "split", "label", "parts", "large"])
            for i, row in enumerate(rows):
                digit = int(row["label"])
                parts = ["even"] * (digit % 2 == 0) + ["high"] * (digit > 6)
                large = "" if i % 5 == 0 else int(digit > 4)  # some are not labelled
                out.writerow([row["id"], row["split"], digit, ";".join(parts) or ";", large])
        text = self.config.read_text() + TASKS
        text = text.replace("[data]\n", f'[data]\nlabels = "{labels}"\n')
        self.config.write_text(text)

    def outcome(self, *settings, salient, sub_salient=0):
        """Two steps, then the test split evaluated and predicted: the lines of `predict`."""
        more = [word for value in (
            "training.epochs=1", "training.batch_size_global=12", "report.tensorboard=false",
            *settings) for word in ("--set", value)]
        self.assert_done(self.train("run", "--fresh", *more))
        folder = max(self.work.glob("run*"), key=lambda path: path.stat().st_mtime)
        events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        steps = [event for event in events if event["event"] == "step"]
        self.assertEqual(len(steps), 2)
        evaluation = next(event for event in events if event["event"] == "evaluation")
        self.assertIn("accuracy", evaluation["tasks"]["label"])
        self.assertIn("exact_match", evaluation["tasks"]["parts"])
        self.assertIn("auc", evaluation["tasks"]["large"])
        evaluated = run("eval", folder, "--split", "test", "--json")
        self.assert_done(evaluated)
        self.assertEqual(json.loads(evaluated.out)["pictures"], 12)

        predicted = run("predict", folder, self.folder / "demo" / "pictures" / "test")
        self.assert_done(predicted)
        lines = [json.loads(line) for line in predicted.out.splitlines()]
        self.assertEqual(len(lines), 12)
        for line in lines:
            self.assertEqual(len(line["salient"]), salient)
            self.assertEqual(len(line["sub_salient"]), sub_salient)
            tasks = {name: task["probabilities"] for name, task in line["tasks"].items()}
            self.assertAlmostEqual(sum(tasks["label"].values()), 1.0, places=5)
            self.assertEqual(set(tasks["parts"]), {"even", "high"})
            for probability in (*tasks["parts"].values(), *tasks["large"].values()):
                self.assertTrue(0 < probability < 1)
        return lines, steps

    def test_attention_with_more_tokens_places_a_deep_mlp_and_more_salient_at_evaluation(self):
        more = ("aggregator.tokens=6", "aggregator.mlp_layers=3", "selection.salient_eval=7",
                "aggregator.position_encoding=true")
        for kind in ("dual_attention", "cross_attention"):
            with self.subTest(kind):
                lines, steps = self.outcome(f"aggregator.kind={kind}", *more, salient=7,
                                            sub_salient=6)
                self.assertEqual(len({json.dumps(line["tasks"]) for line in lines}), 12)
                self.assertGreater(steps[0]["patches_scanned"], 0)

    def test_a_token_shared_by_the_tasks(self):
        self.outcome("aggregator.tokens=1", salient=4, sub_salient=6)

    def test_gated_attention_over_all_patches_and_over_those_it_selects(self):
        gated = ("aggregator.kind=gated_attention", "aggregator.gated_attention.width=16",
                 "selection.explore_epochs=0", "selection.sub_salient=0")
        _, steps = self.outcome(*gated, "selection.method=all", salient=16)
        self.assertEqual(steps[0]["patches_scanned"], 0)
        _, fewer = self.outcome(*gated, "selection.method=ips", "selection.salient=2", salient=2)
        self.assertEqual(fewer[0]["patches_scanned"], 12 * 15)  # ceil(0.9 * 14) + 2
        self.assertGreater(steps[0]["device_bytes_peak"], fewer[0]["device_bytes_peak"])

    def test_top_mil(self):
        lines, _ = self.outcome("aggregator.kind=top_mil", "selection.method=ips",
                                "selection.sub_salient=0", salient=4)
        scores = [patch["score"] for patch in lines[0]["salient"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_mean_of_random_patches_and_of_the_whole_picture(self):
        mean = ("aggregator.kind=mean", "selection.sub_salient=0", "selection.explore_epochs=0")
        self.outcome(*mean, "selection.method=random", salient=4)
        self.outcome(*mean, "selection.method=whole", "data.patch_size=0", "drop.ratio=0",
                     "augment.erase=random", "drop.erase_ratio=0.3", salient=1)

    def test_the_first_screen_says_what_a_method_does(self):
        mean = ("aggregator.kind=mean", "selection.sub_salient=0", "selection.explore_epochs=0")
        for more, said in (
                ((), ["N = 16 of 32 x 32 pixels", "dbps: M = 4, S = 6, L = 6 patches a scan step"]),
                ((*mean, "selection.method=random"), ["random: M = 4, no scan"]),
                ((*mean, "selection.method=all"), ["all: everything is kept, no scan"]),
                ((*mean, "selection.method=whole", "data.patch_size=0"),
                 ["none cut: whole pictures of 128 x 128 pixels",
                  "whole: everything is kept, no scan", "196.6 kB of pixels a micro-batch"])):
            words = [word for text in more for word in ("--set", text)]
            result = self.train("plan", *words, "--dry-run")
            self.assert_done(result)
            for text in said:
                self.assertIn(text, result.err)

    def test_random_patches_erased(self):
        self.outcome("augment.erase=patches", "drop.erase_ratio=0.3", "drop.ratio=0", salient=4,
                     sub_salient=6)

    def test_an_aggregator_without_scores_cannot_serve_a_scan(self):
        result = self.train("bad", "--set", "aggregator.kind=mean")
        self.assertEqual(result.code, 64, result.err)
        self.assertIn("aggregator.kind", result.err)
        self.assertIn("selection.method", result.err)
        self.assertFalse((self.work / "bad").exists())


if __name__ == "__main__":
    unittest.main()

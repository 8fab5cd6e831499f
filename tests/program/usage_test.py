"""What a user types, and what they get back when it is wrong."""

import json
import os
import unittest

from harness import ProgramTest, run


class Usage(ProgramTest):
    def test_eval_and_predict(self):
        self.assert_done(self.train("r"))
        run_folder = self.work / "r"
        self.assertTrue((run_folder / "report.html").exists())
        self.assertTrue(list((run_folder / "maps").rglob("*.jpg")))

        evaluated = run("eval", run_folder, "--split", "test", "--json")
        self.assert_done(evaluated)
        self.assertEqual(json.loads(evaluated.out)["pictures"], 12)
        one_thread = ("--set", "distributed.threads=1")
        evaluated = run("eval", run_folder, "--split", "test", "--json", *one_thread)
        shared = run("eval", run_folder, "--split", "test", "--json", *one_thread, ranks=2)
        alone, both = json.loads(evaluated.out), json.loads(shared.out)
        cost = alone.pop("inference")
        self.assertEqual((cost["device"], cost["batch"]), ("cpu", 4))
        self.assertGreater(cost["seconds_a_batch"], 0)
        weights = (run_folder / "checkpoints" / "best").read_text().strip()
        model = run_folder / "checkpoints" / weights / "model.safetensors"
        self.assertGreater(cost["bytes_peak"], model.stat().st_size // 2)
        both.pop("inference")
        self.assertEqual(both, alone)
        rows = (run_folder / "predictions-test.csv").read_text().splitlines()
        self.assertEqual(len(rows), 13)

        exported = self.work / "model.safetensors"
        self.assert_done(run("export", run_folder, exported))
        pictures = self.folder / "demo" / "pictures" / "test"
        predicted = run("predict", exported, pictures, "--maps", self.work / "maps", cwd=self.work)
        self.assert_done(predicted)
        lines = [json.loads(line) for line in predicted.out.splitlines()]
        self.assertEqual(len(lines), 12)
        self.assertEqual(len(lines[0]["salient"]), 4)
        self.assertEqual(len(lines[0]["sub_salient"]), 6)
        probabilities = lines[0]["tasks"]["label"]["probabilities"]
        self.assertAlmostEqual(sum(probabilities.values()), 1.0, places=5)
        self.assertEqual(len(list((self.work / "maps").rglob("*.jpg"))), 12)

        # A file and its stored twin are the same picture to the model.
        stored = run("predict", exported, self.store)
        by_id = {json.loads(line)["id"]: json.loads(line) for line in stored.out.splitlines()}
        twin = by_id["test/" + lines[0]["id"]]
        self.assertEqual(twin["salient"], lines[0]["salient"])

    def test_predict_goes_on_past_a_damaged_picture(self):
        self.assert_done(self.train("r", "--set", "training.epochs=1"))
        folder = self.work / "mixed"
        folder.mkdir()
        good = next((self.folder / "demo" / "pictures" / "test").rglob("*.png"))
        (folder / "a.png").write_bytes(good.read_bytes())
        (folder / "b.png").write_bytes(good.read_bytes()[:500])
        (folder / "c.png").write_bytes(good.read_bytes())
        result = run("predict", self.work / "r", folder)
        self.assertEqual(result.code, 65)
        lines = [json.loads(line) for line in result.out.splitlines()]
        self.assertEqual([("error" in line) for line in lines], [False, True, False])
        self.assertIn("b.png", lines[1]["error"])

    def test_pictures_of_one_name_are_told_apart(self):
        self.assert_done(self.train("r", "--set", "training.epochs=1"))
        picture = next((self.folder / "demo" / "pictures" / "test").rglob("*.png"))
        for name in ("cat/1.png", "dog/1.png", "dog/1.PNG", "dog/2.png"):
            (self.work / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / "pictures" / name).write_bytes(picture.read_bytes())

        def ids(*inputs):
            result = run("predict", self.work / "r", *inputs, cwd=self.work)
            self.assert_done(result)
            return [json.loads(line)["id"] for line in result.out.splitlines()]

        self.assertEqual(ids("pictures"), ["cat/1", "dog/1.PNG", "dog/1.png", "dog/2"])
        files = ["pictures/cat/1.png", "pictures/dog/1.png"]
        self.assertEqual(ids(*files, "pictures/dog/2.png"), [*files, "2"])

    def test_what_a_person_asks_of_a_run_that_cannot_be(self):
        self.assert_done(self.train("r", "--set", "training.epochs=1"))
        folder = self.work / "r"
        for words, said in (
                (("export", folder, self.work / "none" / "m.safetensors"),
                 f"the folder {self.work}/none is not there"),
                (("export", folder, self.work), "it is a folder"),
                (("eval", folder, "--output", self.work / "none" / "p.csv"), "none is not there"),
                (("eval", folder, "--checkpoint", "step-7"), "step-7 is not a checkpoint; there are"),
                (("eval", folder, "--set", "selection.method=whole"),
                 "error: --set selection.method=whole: "),
                (("split", self.store, "--folds", "0"), "--folds"),
                (("split", self.store, "--folds", "-2"), "--folds"),
                (("ingest", self.folder / "demo", self.store), "a folder of its own")):
            with self.subTest(words=words):
                result = run(*words)
                self.assertEqual(result.code, 64, result.err)
                (line,) = [line for line in result.err.splitlines() if line.startswith("error:")]
                self.assertIn(said, line)

    def test_a_job_number_needs_a_scheduler(self):
        config = ("--set", "experiment.name=job-{job}", "--set", f"experiment.output={self.work}",
                  "--dry-run")
        result = run("train", self.config, *config)
        self.assertEqual(result.code, 64, result.err)
        self.assertIn("experiment.name", result.err)
        self.assert_done(run("train", self.config, *config, env={"SLURM_JOB_ID": "7"}))

    def test_dry_run_keeps_nothing(self):
        result = self.train("dry", "--dry-run")
        self.assert_done(result)
        self.assertIn("estimate", result.err)
        self.assertFalse((self.work / "dry").exists())
        self.assertNotIn("never fills", result.err)

    def test_dry_run_warns_of_what_is_seldom_meant(self):
        result = self.train("odd", "--dry-run", "--set", "selection.sub_salient=12", "--set",
                            "data.width=140")
        self.assert_done(result)
        self.assertIn("M + S = 16 is more than the 15 patches", result.err)
        self.assertIn("12 pixels at the right and 0 at the lower edge", result.err)


class BadInput(ProgramTest):
    def refused(self, code, *words_said, set=(), ranks=0):
        more = [word for value in set for word in ("--set", value)]
        result = self.train("bad", *more, ranks=ranks, timeout=60)
        self.assertEqual(result.code, code, result.err)
        for word in words_said:
            self.assertIn(word, result.err)
        self.assertFalse((self.work / "bad" / "checkpoints").exists())
        return result

    def test_unknown_key_names_file_line_and_nearest(self):
        text = self.config.read_text().replace("learning_rate", "learning_rat")
        self.config.write_text(text)
        line = text[:text.index("learning_rat")].count("\n") + 1
        self.refused(64, f"small.toml:{line}", "learning_rate")

    def test_impossible_values(self):
        self.refused(64, "drop.ratio", set=["drop.ratio=1"])
        self.refused(64, "selection.salient", set=["selection.salient=0"])
        self.refused(64, "data.patch_size", set=["data.patch_size=256"])
        self.refused(64, "optimizer.warmup_epochs", set=["optimizer.warmup_epochs=9"])
        self.refused(64, "selection.salient (M) = 17", "N = 16", set=["selection.salient=17"])
        self.refused(64, "selection.salient_eval", "N = 16", set=["selection.salient_eval=20"])
        self.refused(64, "selection.sub_salient", set=["selection.method=ips"])

    def test_missing_store(self):
        self.refused(65, "nowhere", set=["data.store=nowhere"])

    def damaged_copy(self, damage):
        import shutil
        copy = self.work / "store"
        shutil.copytree(self.store, copy)
        damage(copy)
        return f"data.store={copy}"

    def test_unknown_metric_to_monitor(self):
        self.refused(64, "validation.monitor", "balanced_accuracy",
                     set=["validation.monitor=label.acuracy"])

    def test_missing_shard(self):
        shard = "shard-00000.h5"
        self.refused(65, shard, set=[self.damaged_copy(lambda s: os.remove(s / shard))])

    def test_truncated_shard(self):
        def cut(store):
            with open(store / "shard-00000.h5", "r+b") as file:
                file.truncate(5000)
        self.refused(65, "shard-00000.h5", set=[self.damaged_copy(cut)])

    def test_altered_pixels_name_shard_and_bag_on_both_ranks_quickly(self):
        def alter(store):
            with open(store / "shard-00000.h5", "r+b") as file:
                data = bytearray(file.read())
                for position in range(len(data) // 4, len(data) * 3 // 4, 97):
                    data[position] ^= 0xFF
                file.seek(0)
                file.write(data)
        self.refused(65, "shard-00000.h5", set=[self.damaged_copy(alter)], ranks=2)

    def test_weights_of_another_model(self):
        self.assert_done(self.train("r", "--set", "training.epochs=1"))
        exported = self.work / "model.safetensors"
        self.assert_done(run("export", self.work / "r", exported))
        self.refused(65, "model.safetensors", set=[f"training.initial_weights={exported}",
                                                   "aggregator.mlp_width=32"])

    def test_not_finite_names_step_and_pictures(self):
        result = self.refused(70, "not finite", "step",
                              set=["optimizer.learning_rate=1e30", "optimizer.warmup_epochs=0"])
        self.assertNotIn("internal check", result.err)


if __name__ == "__main__":
    unittest.main()

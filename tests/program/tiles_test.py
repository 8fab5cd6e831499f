"""Slides as stores of tiles: trained, resumed, evaluated and predicted by the whole program."""

import json
import os
import shutil
import subprocess
import unittest

from harness import ProgramTest, events, latest_weights, run

MAKE_TILES = os.environ["DBPS_MAKE_TILES"]

SMALL_RUN = """
[experiment]
name = "small"
[data]
store = "{store}"
[augment]
brightness = 0.1
contrast = 0.1
saturation = 0.0
hue = 0.0
[drop]
ratio = 0.2
[selection]
method = "dbps"
salient = 4
sub_salient = 6
scan_patches = 10
ranking = "global"
[encoder]
kind = "tiny"
[aggregator]
kind = "dual_attention"
heads = 4
key_width = 16
value_width = 16
mlp_width = 64
[[task]]
name = "label"
[optimizer]
learning_rate = 1e-3
warmup_epochs = 1
[training]
epochs = 2
batch_size_global = 8
micro_batches = 2
[distributed]
threads = 1
device = "cpu"
check_every = 2
"""


def make_tiles(folder, **given):
    subprocess.run([MAKE_TILES, folder, *[f"{k}={v}" for k, v in given.items()]], check=True)


class TileStoreTest(ProgramTest):
    """The same with a store of tiles, of which training is asked to end with a code."""

    small_run = SMALL_RUN
    tiles = dict(parts=3, lesions=0.25)  # what make_tiles is given

    @classmethod
    def make_store(cls):
        make_tiles(cls.folder / "store", **cls.tiles)
        return cls.folder / "store"

    def train(self, name, *more, ranks=0, code=0):
        done = super().train(name, *more, ranks=ranks, timeout=300)
        self.assert_done(done, code)
        return done


class TilesTest(TileStoreTest):
    def test_learns_from_a_label_a_slide(self):
        self.train("learns", "--set", "training.epochs=20", "--set", "selection.explore_epochs=4",
                   "--set", "optimizer.learning_rate=3e-3")
        evaluated = run("eval", self.work / "learns", "--checkpoint", "latest", "--json")
        self.assertEqual(evaluated.code, 0, evaluated.err)
        result = json.loads(evaluated.out)
        self.assertEqual(result["pictures"], 8)
        self.assertGreaterEqual(result["tasks"]["label"]["accuracy"], 0.9)

    def test_ranks_threads_and_resumption_change_nothing(self):
        self.train("one")
        self.train("two", "--set", "data.decode_threads=3", "--set", "data.host_bytes=1", ranks=2)
        self.train("part", "--set", "checkpoint.every_steps=1", "--set", "training.epochs=1")
        self.train("part", "--set", "checkpoint.every_steps=1", "--set", "training.epochs=2",
                   "--accept", "training.epochs")
        self.assertEqual(latest_weights(self.work / "one"), latest_weights(self.work / "two"))
        self.assertEqual(events(self.work / "one"), events(self.work / "two"))

    def test_predicts_each_slide_by_its_tiles(self):
        self.train("run")
        for ranks in (0, 2):
            predicted = run("predict", self.work / "run", self.store, ranks=ranks)
            self.assertEqual(predicted.code, 0, predicted.err)
            lines = [json.loads(line) for line in predicted.out.splitlines()]
            self.assertEqual(len(lines), 40)
            for line in lines:
                for patch in line["salient"] + line["sub_salient"]:
                    self.assertEqual(patch["x"], patch["index"] % 7 * 64)
                    self.assertEqual(patch["y"], patch["index"] // 7 * 64)
                self.assertEqual(len(line["salient"]), 4)
        evaluated = run("eval", self.work / "run", "--output", self.work / "test.csv")
        self.assertEqual(evaluated.code, 0, evaluated.err)
        rows = (self.work / "test.csv").read_text().splitlines()[1:]
        of_eval = {row.split(",")[0]: float(row.split(",")[-1]) for row in rows}
        for line in lines:
            if line["id"] in of_eval:
                self.assertAlmostEqual(line["tasks"]["label"]["probabilities"]["tumour"],
                                       of_eval[line["id"]], places=5)
        self.assertEqual(len(of_eval), 8)
        again = self.train("again", "--dry-run")
        self.assertIn("a scan step at a time", again.err)

    def test_what_speaks_of_whole_pictures_is_refused(self):
        for key in ("data.height=64", "data.resize=exact", "augment.translate=8",
                    "data.patch_size=16", "augment.erase=patches", "selection.method=whole"):
            more = {"augment.erase=patches": ["drop.erase_ratio=0.1", "drop.ratio=0"],
                    "selection.method=whole": ["selection.salient=0", "selection.sub_salient=0"],
                    "data.height=64": ["data.width=64", "data.patch_size=32"]}.get(key, [])
            words = [word for text in [key, *more] for word in ("--set", text)]
            refused = self.train("refused", *words, code=64)
            self.assertIn(key.split("=")[0], refused.err)
            self.assertIn("tiles", refused.err)

    def test_a_damaged_tile_ends_the_run_with_its_name(self):
        damaged = self.work / "damaged"
        shutil.copytree(self.store, damaged)
        shard = next(damaged.glob("shard-*.h5"))
        content = bytearray(shard.read_bytes())
        for at in range(len(content) // 3, len(content) // 3 + 200):
            content[at] ^= 1
        shard.write_bytes(content)
        refused = self.train("bad", "--set", f"data.store={damaged}", code=65)
        self.assertIn("damaged (checksum)", refused.err)


if __name__ == "__main__":
    unittest.main()

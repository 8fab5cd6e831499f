"""Features of an encoder, extracted by the whole program, beside torchvision's ResNet on tiles that
Pillow decodes; and training on them."""

import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import h5py
import numpy
import PIL.Image
import torch
import torchvision

from features_test import FEATURE_RUN
from harness import ProgramTest, run, start, without_key

MAKE_TILES = os.environ["DBPS_MAKE_TILES"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_resnet18(path, seed):
    """torchvision's network with weights and statistics of a seed, as a .pth."""
    torch.manual_seed(seed)
    network = torchvision.models.resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    torch.save(network.state_dict(), path)
    return network.eval()


def tables(store):
    """{id: {column: rows}} of a store's bags, their parts end to end, with `blob` rows of bytes."""
    bags = {}
    for path in sorted(pathlib.Path(store).glob("shard-*.h5")):
        with h5py.File(path) as shard:
            order = numpy.argsort(shard["bags/part"][:], kind="stable")
            ids = shard["bags/id"][:].astype(str)
            for i in order:
                rows = slice(shard["bags/first_tile"][i],
                             shard["bags/first_tile"][i] + shard["bags/tile_count"][i])
                bag = bags.setdefault(ids[i], {"x": [], "y": [], "content": []})
                bag["x"] += list(shard["tiles/x"][rows])
                bag["y"] += list(shard["tiles/y"][rows])
                if "features" in shard:
                    bag["content"] += list(shard["features"][rows])
                else:
                    for start, size in zip(shard["tiles/offset"][rows], shard["tiles/bytes"][rows]):
                        bag["content"].append(shard["blob"][start:start + size].tobytes())
                for name in ("width", "height", "level", "downsample", "mpp"):
                    bag[name] = shard[f"bags/{name}"][i]
    return bags


def processes_in(folder):
    """Of the program, those whose command names this folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it is gone
            continue
        if words[0] == os.environ["DBPS_PROGRAM"].encode() and str(folder).encode() in words:
            found.append(int(entry.name))
    return found


def labels(store):
    with open(pathlib.Path(store) / "labels.csv", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def embed(network, encoded, stages=4):
    """(n, D) of encoded tiles, by PyTorch alone."""
    tiles = [numpy.asarray(PIL.Image.open(io.BytesIO(one)).convert("RGB")) for one in encoded]
    pixels = torch.from_numpy(numpy.stack(tiles)).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        x = network.maxpool(network.relu(network.bn1(network.conv1(pixels))))
        for layer in (network.layer1, network.layer2, network.layer3, network.layer4)[:stages]:
            x = layer(x)
        return x.mean(dim=(2, 3)).numpy()


class Extract(ProgramTest):
    small_run = FEATURE_RUN

    @classmethod
    def make_store(cls):
        subprocess.run([MAKE_TILES, cls.folder / "tiles", "slides=9", "validation=3", "test=3",
                        "least=5", "most=20", "tile=64", "parts=2", "lesions=0.3"], check=True)
        cls.weights = cls.folder / "r18.pth"
        cls.network = make_resnet18(cls.weights, 1)
        return cls.folder / "tiles"

    def extract(self, out, *more, code=0, ranks=0, weights=None, store=None):
        done = run("extract", store or self.store, self.work / out, "--encoder", "resnet18",
                   "--weights", weights or self.weights, "--json", *more, ranks=ranks)
        self.assertEqual(done.code, code, done.err)
        return json.loads(done.out) if done.out else done.err

    def assert_close(self, bags, tiles, type_, stages=4):
        self.assertEqual(set(bags), set(tiles))
        for id_, bag in bags.items():
            vectors = numpy.stack(bag["content"])
            self.assertEqual(vectors.dtype, type_)
            wanted = embed(self.network, tiles[id_]["content"], stages)
            self.assertEqual(vectors.shape, wanted.shape)
            rounding = 2.0 ** -11 if type_ == numpy.float16 else 0
            far = numpy.abs(vectors.astype(numpy.float64) - wanted)
            allowed = 1e-4 * numpy.abs(wanted).max() + rounding * numpy.abs(wanted)
            self.assertTrue((far <= allowed).all(), f"{id_}: {far.max()}")

    def test_vectors_are_pytorchs_and_places_are_the_tiles(self):
        summary = self.extract("single", "--type", "float32", "--batch", "7")
        self.assertEqual((summary["kept"], summary["failed"]), (15, []))
        tiles, bags = tables(self.store), tables(self.work / "single")
        self.assert_close(bags, tiles, numpy.float32)
        for id_, bag in bags.items():
            for name in ("x", "y", "width", "height", "level", "downsample", "mpp"):
                self.assertEqual(list(numpy.ravel(bag[name])), list(numpy.ravel(tiles[id_][name])))
        self.extract("half")
        self.assert_close(tables(self.work / "half"), tiles, numpy.float16)
        self.extract("stages", "--stages", "2", "--type", "float32")
        self.assert_close(tables(self.work / "stages"), tiles, numpy.float32, stages=2)
        self.assertEqual(labels(self.work / "half"), labels(self.store))

    def test_ranks_share_the_bags(self):
        self.extract("one", "--type", "float32")
        self.extract("two", "--type", "float32", ranks=2)
        one, two = tables(self.work / "one"), tables(self.work / "two")
        self.assertEqual(set(one), set(two))
        for id_ in one:
            numpy.testing.assert_allclose(numpy.stack(one[id_]["content"]),
                                          numpy.stack(two[id_]["content"]), rtol=0, atol=1e-5)
        shards = json.loads((self.work / "two" / "store.json").read_text())["shards"]
        self.assertEqual(len(shards), 2)
        loads = [shard["tiles"] for shard in shards]
        self.assertLess(max(loads) - min(loads), 20)
        self.assertEqual(run("verify", self.work / "two").code, 0)

    def test_what_is_whole_is_skipped_and_what_is_not_made_again(self):
        self.extract("again", "--shard-size", "20000")
        before = tables(self.work / "again")
        self.assertEqual(self.extract("again", "--shard-size", "20000")["skipped"], 15)
        shard = sorted((self.work / "again").glob("shard-*.h5"))[1]
        entry = [one for one in json.loads((self.work / "again" / "store.json").read_text())["shards"]
                 if one["name"] == shard.name][0]
        content = bytearray(shard.read_bytes())
        content[entry["blob_offset"] + 5] ^= 1
        shard.write_bytes(content)
        self.assertEqual(run("verify", self.work / "again").code, 65)
        summary = self.extract("again", "--shard-size", "20000")
        self.assertEqual((summary["kept"], summary["skipped"]), (1, 14))
        self.assertEqual(run("verify", self.work / "again").code, 0)
        after = tables(self.work / "again")
        for id_ in before:
            numpy.testing.assert_array_equal(before[id_]["content"], after[id_]["content"])

    def bags_of(self, out):
        """{journal of a shard: whole bags in it}"""
        return {path.name: path.read_bytes().count(b"\n") - 1
                for path in (self.work / out).glob("shard-*.journal")}

    def kill_in_mid_slide(self, store, out, ranks):
        """Once each rank has a whole bag, and is some tiles into the next."""
        words = ("extract", store, self.work / out, "--encoder", "resnet18", "--weights", self.weights)
        process = start(*words, ranks=ranks)
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            bags = self.bags_of(out)
            if len(bags) == max(ranks, 1) and min(bags.values()) > 0:
                break
            time.sleep(0.001)
        time.sleep(0.05)
        killed = processes_in(self.work / out)
        self.assertEqual(len(killed), max(ranks, 1), "too late")
        for one in killed:
            os.kill(one, signal.SIGSTOP)
        whole = sum(self.bags_of(out).values())
        for one in killed:
            os.kill(one, signal.SIGKILL)
        process.communicate(timeout=60)
        self.assertFalse((self.work / out / "store.json").exists(), "too late")
        return whole

    def test_killed_in_mid_slide_it_goes_on(self):
        tiles = self.work / "tiles"
        subprocess.run([MAKE_TILES, tiles, "slides=6", "validation=0", "test=0", "least=120",
                        "most=150", "tile=64"], check=True)
        self.extract("whole", store=tiles)
        self.assertEqual(len(tables(self.work / "whole")), 6)
        fingerprint = json.loads((self.work / "whole" / "store.json").read_text())["fingerprint"]
        for ranks in (0, 2):
            out = f"killed-{ranks}"
            whole = self.kill_in_mid_slide(tiles, out, ranks)
            summary = self.extract(out, store=tiles, ranks=ranks)
            self.assertEqual((summary["skipped"], summary["kept"]), (whole, 6 - whole))
            self.assertLess(whole, 6)
            undisturbed = tables(self.work / "whole")
            for id_, bag in tables(self.work / out).items():
                self.assertEqual(numpy.stack(bag.pop("content")).tobytes(),
                                 numpy.stack(undisturbed[id_].pop("content")).tobytes(), id_)
                self.assertEqual(bag, undisturbed.pop(id_))
            self.assertEqual(undisturbed, {})
            made = json.loads((self.work / out / "store.json").read_text())
            self.assertEqual(made["fingerprint"], fingerprint)
            left = {path.suffix for path in (self.work / out).iterdir()}
            self.assertEqual(left, {".h5", ".json", ".csv"})

    def test_another_encoder_is_refused_by_name(self):
        self.extract("out")
        other = self.work / "other.pth"
        make_resnet18(other, 2)
        self.assertIn("encoder_hash", self.extract("out", weights=other, code=64))
        self.assertIn("encoder_stages", self.extract("out", "--stages", "3", code=64))
        self.assertIn("features already",
                      self.extract("more", store=self.work / "out", code=64))
        for words in ([], ["--encoder", "resnet18"], ["--encoder", "resnet18", "--stages", "5"]):
            refused = run("extract", self.store, self.work / "none", *words)
            self.assertEqual(refused.code, 64, refused.err)
        self.assertFalse((self.work / "none").exists())

    def test_a_damaged_slide_is_left_out_by_name(self):
        damaged = self.work / "damaged"
        shutil.copytree(self.store, damaged)
        (shard,) = damaged.glob("shard-*.h5")
        with h5py.File(shard) as tables_of:
            slide = tables_of["bags/id"][4].decode()
            at = tables_of["blob"].id.get_offset() + int(
                tables_of["tiles/offset"][tables_of["bags/first_tile"][4] + 1])
        content = bytearray(shard.read_bytes())
        content[at + 30] ^= 1
        shard.write_bytes(content)
        summary = self.extract("out", store=damaged)
        self.assertEqual(summary["kept"], 14)
        self.assertIn(slide, summary["failed"][0]["reason"])
        self.assertIn(slide, (self.work / "out" / "failed.csv").read_text())
        self.assertIn("--strict", run("extract", damaged, self.work / "out", "--encoder", "resnet18",
                                      "--weights", self.weights, "--strict").err)

    def test_training_and_other_tools_read_them(self):
        self.extract("features")
        origin = "resnet18, weights r18.pth (crc32c:"
        self.assertIn(origin, run("inspect", self.work / "features").out)
        of_json = json.loads(run("inspect", self.work / "features", "--json").out)
        self.assertEqual(of_json["encoder"]["kind"], "resnet18")
        trained = self.train("run", "--set", f"data.store={self.work / 'features'}", "--set",
                             "training.epochs=2")
        self.assert_done(trained)
        provenance = json.loads((self.work / "run" / "provenance.json").read_text())
        self.assertIn(origin, provenance["features"])
        self.assertIn(origin, (self.work / "run" / "report.html").read_text())
        exported = run("export", self.work / "features", self.work / "out", "--layout", "trident")
        self.assertEqual(exported.code, 0, exported.err)
        tiles = tables(self.store)
        for id_, slide in tiles.items():
            with h5py.File(self.work / "out" / "features" / f"{id_}.h5") as file:
                self.assertEqual(file["coords"][:, 0].tolist(), slide["x"])
                self.assertEqual(file["coords"].attrs["patch_size_level0"],
                                 64 * slide["downsample"])

    def test_a_model_of_features_knows_the_encoder_of_its_vectors(self):
        other, model = self.work / "other.pth", self.work / "model.safetensors"
        make_resnet18(other, 2)
        self.extract("seen")
        self.extract("bf16", "--type", "float32", "--precision", "bf16")
        self.extract("other", weights=other)
        self.extract("mean", "--set", "data.mean=[0.5, 0.5, 0.5]")
        self.assert_done(self.train("run", "--set", f"data.store={self.work / 'seen'}", "--set",
                                    "training.epochs=1"))
        self.assert_done(run("export", self.work / "run", model))

        def uses(store, model):
            begin = ("--set", f"training.initial_weights={model}", "--set", "training.epochs=1", "--set",
                     f"data.store={store}", "--set", f"experiment.output={self.work}", "--set")
            return (("predict", model, store), ("explain", model, store, "--maps", self.work / "maps"),
                    ("eval", self.work / "run", "--set", f"data.store={store}"),
                    ("train", self.config, *begin, f"experiment.name=on-{store.name}"))

        for store, words in (("other", ("resnet18, weights other.pth (crc32c:",
                                        "of vectors of resnet18, weights r18.pth (crc32c:")),
                             ("mean", ("mean 0.5 0.5 0.5", "mean 0.485 0.456 0.406"))):
            for use in uses(self.work / store, model):
                refused = run(*use)
                self.assertEqual(refused.code, 64, (use, refused.err))
                line = refused.err.strip().splitlines()[-1]
                for word in (str(self.work / store), *words):
                    self.assertIn(word, line, use)
        for use in uses(self.work / "bf16", model)[::3]:
            done = run(*use)
            self.assert_done(done)
            self.assertNotIn("does not say which encoder", done.err)
        old = self.work / "old.safetensors"
        without_key(model, old, "slides")
        for use in uses(self.work / "other", old)[::3]:
            done = run(*use)
            self.assert_done(done)
            self.assertIn(f"{old} does not say which encoder made its vectors", done.err)
            self.assertIn("weights other.pth (crc32c:", done.err)

    def test_the_encoder_of_a_run_and_patches_of_pictures(self):
        demo = run("make-demo", self.work / "demo", "--canvas", 128, "--train", 8, "--validation", 4,
                   "--test", 4, "--digits", 4, 5, "--distractors", 4, 6)
        self.assert_done(demo)
        pictures = self.work / "demo" / "store"
        self.extract("patches", "--set", "data.resize=none", "--set", "data.patch_size=32",
                     store=pictures)
        bags = tables(self.work / "patches")
        self.assertEqual(len(bags), 16)
        for bag in bags.values():
            self.assertEqual([(x, y) for x, y in zip(bag["x"], bag["y"])],
                             [(32 * (i % 4), 32 * (i // 4)) for i in range(16)])
        from harness import SMALL_RUN
        self.config.write_text(SMALL_RUN.format(store=pictures))
        self.assert_done(self.train("run", "--set", "training.epochs=1", "--set",
                                    "selection.explore_epochs=0"))
        done = run("extract", pictures, self.work / "of_run", "--model", self.work / "run")
        self.assert_done(done)
        shown = json.loads(run("inspect", self.work / "of_run", "--json").out)
        self.assertEqual((shown["bags"], shown["tiles"], shown["width"]), (16, 256, 64))
        self.assertEqual(shown["encoder"]["kind"], "tiny")
        self.assertIn("128 x 128", shown["encoder"]["input"])
        done = run("extract", self.store, self.work / "of_tiles", "--model", self.work / "run")
        self.assert_done(done)


if __name__ == "__main__":
    unittest.main()

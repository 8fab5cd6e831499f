"""Check 16 and `predict`: the whole program as it is used, from PNG to losses and probabilities."""

import concurrent.futures
import csv
import json
import itertools

import numpy as np
import torch
from PIL import Image

import reference
import settings
from checks_model import draw_labels
from checks_selection import members
from harness import PROGRAM, SEEDS, Case, ParityTest, execute
from ledger import LEDGER

STEPS = 20
BATCH = 2
WARMUP = 5
RATE = 1e-4
RESTARTED_AT_ONCE = 10  # steps whose weights lie on the disk together


class Album:
    """Labelled pictures of a setting's size: as PNG, in a store, as the reference sees them."""

    def __init__(self, setting, seed, count, folder):
        self.setting, self.folder = setting, folder
        self.ids = [f"p{i:03}" for i in range(count)]
        self.pictures = [setting.picture(5000 * seed + i) for i in range(count)]
        self.labels = draw_labels(setting.tasks, count, seed)
        for name, kind, _ in setting.tasks:
            if kind == "multilabel":
                self.labels[name][:, 0] |= (
                    self.labels[name].sum(1) == 0
                )  # none at all means: not labelled
        folder.mkdir(parents=True)
        ending = "npy" if setting.features else "png"
        self.files = [folder / f"{name}.{ending}" for name in self.ids]
        for file, picture in zip(self.files, self.pictures):
            if setting.features:
                np.save(file, picture)
            else:
                Image.fromarray(picture.squeeze()).save(file)

    def batches(self):
        """What reference.train takes, made when it is asked for."""
        for first in range(0, len(self.ids), BATCH):
            labels = {name: label[first : first + BATCH] for name, label in self.labels.items()}
            yield torch.stack(
                [self.setting.patches(picture) for picture in self.pictures[first : first + BATCH]]
            ), labels

    def ingest(self):
        """The store's folder."""
        listing = self.folder / "pictures.csv"
        self.write_labels(listing, "path", [file.name for file in self.files], lambda i: "train")
        kind = "features" if self.setting.features else "images"
        execute([PROGRAM, "ingest", listing, self.folder / "store", "--kind", kind])
        return self.folder / "store"

    def write_labels(self, path, key, keys, split):
        with open(path, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow([key, "split", *(name for name, _, _ in self.setting.tasks)])
            for i, name in enumerate(keys):
                if split(i):
                    table.writerow(
                        [name, split(i), *(self.label(i, task) for task in self.setting.tasks)]
                    )

    def label(self, i, task):
        name, kind, _ = task
        value = self.labels[name][i]
        if kind == "multilabel":
            return ";".join(f"c{c}" for c in value.nonzero().flatten().tolist())
        return f"c{int(value)}" if kind == "multiclass" else ("no", "yes")[int(value)]


class ProgramTest(ParityTest):
    steps = STEPS

    def train_config(self, setting, album, store, warmup=0, **training):
        return setting.config(
            experiment={"output": str(album.folder)},
            data={"store": str(store), "fraction_validation": 0.0},
            optimizer={"learning_rate": RATE, "warmup_steps": warmup},
            training={"batch_size_global": BATCH, "micro_batches": 1, **training},
            checkpoint={"every_epochs": 0},
            report={"maps_per_epoch": 0},
        )

    def start(self, setting, seed):
        """An album in its store, the reference's model and the file of its weights."""
        folder = self.folder / f"{setting.name}-{setting.precision}-seed{seed}"
        album = Album(setting, seed, BATCH * self.steps, folder)
        net = setting.net(seed)
        return album, album.ingest(), net

    def reference_run(self, net, album):
        return reference.train(
            net,
            album.batches(),
            self.steps,
            lr=RATE,
            warmup=min(WARMUP, self.steps),
            total=self.steps,
        )

    def check_free_running(self, setting, seeds=SEEDS):
        """fp64: `dbps train` from the reference's first weights, 20 steps on its own."""
        setting = setting.but(precision="fp64")
        for seed in seeds:
            case = f"{setting.name}-{setting.rule}-seed{seed}"
            album, store, net = self.start(setting, seed)
            weights = setting.save(net, album.folder / "initial.safetensors")
            config = album.folder / "train.toml"
            config.write_text(
                self.train_config(
                    setting, album, store, min(WARMUP, self.steps), initial_weights=weights
                )
            )
            with concurrent.futures.ThreadPoolExecutor() as beside:
                run = beside.submit(execute, [PROGRAM, "train", config])
                expected = [value for value, _, _ in self.reference_run(net, album)]
                run.result()
            lines = (album.folder / "parity" / "metrics.jsonl").read_text().splitlines()
            losses = [event["loss"] for event in map(json.loads, lines) if event["event"] == "step"]
            self.assertEqual(len(losses), self.steps)
            with self.subTest(case):
                for step, value in enumerate(expected):
                    LEDGER.compare(16, case, f"loss of step {step + 1}", losses[step], value)

    def check_restarted(self, setting, seeds=SEEDS):
        """fp32: every step from the reference's weights of that step, by the program's trainer."""
        for seed in seeds:
            case = f"{setting.name}-{setting.rule}-seed{seed}"
            album, store, net = self.start(setting, seed)
            config = self.train_config(setting, album, store)
            run = enumerate(self.reference_run(net, album))
            while some := list(itertools.islice(run, RESTARTED_AT_ONCE)):
                overrides = [
                    self.step_overrides(setting, album, step, before)
                    for step, (_, _, before) in some
                ]
                ours = self.probe(
                    "first_steps", [Case(case, {"config": config, "overrides": overrides})]
                )
                with self.subTest(case):
                    for (step, (value, _, _)), loss in zip(some, ours[case]["loss"]):
                        LEDGER.compare("16b", case, f"loss of step {step + 1}", loss, value)

    def step_overrides(self, setting, album, step, state):
        """The weights before a step, and the labels of its pictures alone."""
        number = step % RESTARTED_AT_ONCE
        weights, labels = (
            album.folder / f"step{number}.safetensors",
            album.folder / f"step{step}.csv",
        )
        setting.save_state(state, weights)
        album.write_labels(
            labels, "id", album.ids, lambda i: "train" if i // BATCH == step else None
        )
        return [f"training.initial_weights={weights}", f"data.labels={labels}"]

    def check_predict(self, setting, pictures, seeds=SEEDS):
        """`predict CONFIG --weights FILE` on PNG: probabilities, and what was selected."""
        for seed in seeds:
            folder = self.folder / f"{setting.name}-predict-seed{seed}"
            album = Album(setting, seed, pictures, folder)
            net = setting.net(seed)
            config = folder / "predict.toml"
            config.write_text(setting.config())
            weights = setting.save(net, folder / "weights.safetensors")
            lines = execute(
                [PROGRAM, "predict", config, "--weights", weights, *album.files]
            ).splitlines()
            self.assertEqual(len(lines), pictures)
            for i, line in enumerate(map(json.loads, lines)):
                case = f"{setting.name}-{setting.rule}-seed{seed}-{album.ids[i]}"
                with torch.no_grad():
                    expected = net(setting.patches(album.pictures[i])[None])
                with self.subTest(case):
                    self.compare_prediction(case, setting, line, expected, net.selection[0])

    def compare_prediction(self, case, setting, line, expected, selection):
        for kind in ("salient", "sub_salient"):
            ours = [patch["index"] for patch in line[kind]]
            theirs = members(getattr(selection, kind))
            LEDGER.compare_sets("predict sets", case, kind, ours, theirs, selection.gap)
            if set(ours) != set(theirs):
                return  # excused: of other patches other probabilities follow
        for name, kind, classes in setting.tasks:
            found = line["tasks"][name]["probabilities"]
            order = ["yes"] if kind == "binary" else [f"c{c}" for c in range(classes)]
            LEDGER.compare(
                "predict",
                case,
                f"probabilities of {name}",
                [found[c] for c in order],
                expected[name][0],
            )


SMALL = settings.R18.but(rows=4, columns=4, step=5)
# Enough patches a batch that BatchNorm over their single last pixels does not magnify rounding.
R50 = settings.R50.but(m=6, s=4, step=3, rule="joint")


class Program(ProgramTest):
    """Sizes for every day."""

    def test_16_free_running(self):
        for setting in (
            settings.FEATURES,
            settings.GREY,
            settings.TASKS.but(rule="global"),
            settings.TASKS.but(name="single", single=True),
            SMALL,
        ):
            self.check_free_running(setting)
        self.check_free_running(R50, seeds=(0,))

    def test_16_restarted(self):
        for setting in (
            settings.FEATURES,
            settings.GREY,
            settings.TASKS.but(rule="joint", position=True),
        ):
            self.check_restarted(setting)
        self.check_restarted(SMALL, seeds=(1,))
        self.check_restarted(R50, seeds=(0,))

    def test_predict(self):
        for setting in (settings.GREY, settings.TASKS, SMALL, settings.R50):
            self.check_predict(setting, pictures=8)


CQU_BPDD = settings.R18.but(
    name="cqu_bpdd",
    patch=100,
    rows=9,
    columns=12,
    m=12,
    s=36,
    step=32,
    mlp_width=2048,
    tasks=(("label", "multiclass", 7),),
)
DDR = settings.R50.but(
    name="ddr",
    patch=200,
    rows=6,
    columns=6,
    m=4,
    s=20,
    step=16,
    mlp_width=2048,
    tasks=(("label", "multiclass", 5),),
)


class FullProgram(ProgramTest):
    """The paper's sizes; minutes a setting."""

    def test_16_free_running(self):
        for setting in (CQU_BPDD, DDR):
            self.check_free_running(setting, seeds=(0,))

    def test_16_restarted(self):
        for setting in (CQU_BPDD, DDR):
            self.check_restarted(setting, seeds=(0,))

    def test_predict(self):
        for setting in (CQU_BPDD, DDR):
            self.check_predict(setting, pictures=10, seeds=(0,))

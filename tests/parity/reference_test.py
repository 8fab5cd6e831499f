"""Self-checks of reference.py against torchvision, scikit-learn and cases worked by hand."""

import math
import unittest

import numpy as np
import torch
import torchvision
import torchvision.transforms.functional as TF
from PIL import Image
from sklearn import metrics as sk
from torch import nn

import reference as ref


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=generator(seed), dtype=dtype)


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


class Pictures(unittest.TestCase):
    def test_resize_is_pillows(self):
        rgb = (rand(30, 40, 3) * 255).to(torch.uint8).numpy()
        for height, width in ((13, 17), (60, 90)):
            want = np.asarray(Image.fromarray(rgb).resize((width, height), Image.BILINEAR))
            np.testing.assert_array_equal(ref.resize(rgb, height, width), want)
            self.assertEqual(want.shape, (height, width, 3))

    def test_normalise(self):
        picture = rand(3, 5, 6)
        torch.testing.assert_close(
            ref.normalise(picture), TF.normalize(picture, ref.IMAGENET_MEAN, ref.IMAGENET_STD)
        )

    def test_patches_are_row_major(self):
        picture = torch.arange(2 * 5 * 7).view(2, 5, 7)
        patches = ref.cut_patches(picture, 2)
        self.assertEqual(patches.shape, (6, 2, 2, 2))
        for i in range(6):
            y, x = 2 * (i // 3), 2 * (i % 3)
            self.assertTrue(torch.equal(patches[i], picture[:, y : y + 2, x : x + 2]))

    def test_stride(self):
        picture = torch.arange(25).view(1, 5, 5)
        patches = ref.cut_patches(picture, 3, 2)
        self.assertEqual(patches[:, 0, 0, 0].tolist(), [0, 2, 10, 12])

    def test_table_1_grids(self):
        for height, width, size, n in (
            (900, 1200, 100, 108),
            (1200, 1200, 200, 36),
            (1200, 1600, 100, 192),
        ):
            self.assertEqual(len(ref.cut_patches(torch.zeros(1, height, width), size)), n)

    def test_jitter_order(self):
        picture = rand(3, 8, 9)
        factors = {"brightness": 1.1, "contrast": 0.9, "saturation": 1.08, "hue": -0.07}
        order = ("hue", "contrast", "brightness", "saturation")
        want = picture
        for name in order:
            want = getattr(TF, f"adjust_{name}")(want, factors[name])
        torch.testing.assert_close(ref.jitter(picture, order, **factors), want)

    def test_patchwise_jitter_with_the_pictures_grey(self):
        picture = rand(3, 8, 8, dtype=torch.float64)
        factors = {"brightness": 0.93, "contrast": 1.1, "saturation": 0.95, "hue": 0.03}
        for order in (("hue", "contrast", "brightness", "saturation"), ref.JITTERS):
            grey = ref.contrast_grey(picture, order, **factors)
            patches = ref.jitter(ref.cut_patches(picture, 4), order, grey=grey, **factors)
            want = ref.cut_patches(ref.jitter(picture, order, **factors), 4)
            torch.testing.assert_close(patches, want)

    def test_jitter_defaults_change_nothing(self):
        picture = rand(3, 6, 6)
        torch.testing.assert_close(ref.jitter(picture), picture, atol=1e-5, rtol=0)

    def test_translate(self):
        picture = rand(2, 6, 7) + 0.1
        for dx, dy in ((2, 1), (-3, 2), (0, -5), (1, 0), (0, 0)):
            want = TF.affine(picture, 0.0, [dx, dy], 1.0, [0.0, 0.0])
            self.assertTrue(torch.equal(ref.translate(picture, dx, dy), want))
        self.assertEqual(ref.translate(picture, 7, 0).sum().item(), 0)
        self.assertEqual(ref.translate(picture, 2, 1)[0, 1, 2], picture[0, 0, 0])

    def test_sinusoid(self):
        encoding = ref.sinusoid([0, 5], 4)
        self.assertEqual(encoding[0].tolist(), [0, 1, 0, 1])
        want = [math.sin(5), math.cos(5), math.sin(0.05), math.cos(0.05)]
        np.testing.assert_allclose(encoding[1].numpy(), want, rtol=1e-12)

    def test_erase(self):
        erased = ref.erase_rectangle(torch.ones(1, 4, 5), 1, 2, 3, 1)
        self.assertEqual(erased.sum(), 17)
        self.assertEqual(erased[0, 2].tolist(), [1, 0, 0, 0, 1])
        patches = ref.erase_patches(torch.ones(3, 1, 100, 100), [1])
        self.assertEqual(patches.sum((1, 2, 3)).tolist(), [10000, 10000 - 97 * 97, 10000])


class Counts(unittest.TestCase):
    def test_best_rows_of_table_1(self):
        rows = (
            ("0.3", 108, 12, 32, 80, 23),
            ("0.2", 81, 36, 23, 72, 19),
            ("0.2", 36, 4, 16, 30, 13),
            ("0.2", 100, 30, 32, 86, 26),
            ("0.1", 192, 10, 32, 174, 29),
            ("0.1", 70000, 1000, 5000, 63100, 4500),
            ("0", 900, 100, 100, 900, 100),
        )
        for r, n, m, l, kept, step in rows:
            self.assertEqual((ref.kept_patches(r, n, m), ref.scan_step(r, l)), (kept, step))

    def test_decimals_are_exact(self):
        self.assertEqual(math.ceil((1 - 0.7) * 10), 4)
        self.assertEqual(ref.kept_patches("0.7", 10, 0), 3)
        self.assertEqual(ref.scan_step("0.7", 10), 3)

    def test_all_salient(self):
        self.assertEqual(ref.kept_patches("0.3", 10, 12), 10)


class Encoders(unittest.TestCase):
    def test_resnet_is_torchvisions(self):
        names = {
            "conv1": "0",
            "bn1": "1",
            "layer1": "4",
            "layer2": "5",
            "layer3": "6",
            "layer4": "7",
        }
        for kind in ("resnet18", "resnet50"):
            theirs, ours = getattr(torchvision.models, kind)(), ref.resnet(kind)
            state = {}
            for key, value in theirs.state_dict().items():
                head, _, rest = key.partition(".")
                if head != "fc":
                    state[f"{names[head]}.{rest}"] = value
            ours.load_state_dict(state, strict=True)
            theirs.fc = nn.Identity()
            pictures = randn(2, 3, 40, 40)
            with torch.no_grad():
                torch.testing.assert_close(ours.eval()(pictures), theirs.eval()(pictures))

    def test_two_stages_one_channel(self):
        body = ref.encoder("resnet18", 128, stages=2, channels=1).eval()
        self.assertEqual(body(rand(2, 1, 50, 50)).shape, (2, 128))
        self.assertEqual(body[0].weight.shape, (64, 1, 7, 7))
        self.assertLessEqual(body[0].weight.abs().max().item(), 1 / math.sqrt(49))
        with self.assertRaises(ValueError):
            ref.encoder("resnet18", 512, stages=2)

    def test_projector_names(self):
        state = ref.encoder("resnet50").state_dict()
        self.assertEqual(state["9.2.weight"].shape, (512, 2048))
        self.assertIn("9.3.running_var", state)
        self.assertEqual(len([k for k in state if k.startswith("9.")]), 7)
        state = ref.encoder("features", features=2048).state_dict()
        self.assertEqual({k.split(".")[0] for k in state}, {"1", "2"})
        self.assertEqual(state["1.weight"].shape, (512, 2048))

    def test_features_by_hand(self):
        body = ref.encoder("features", 6, features=10).double().eval()
        body[2].running_mean.fill_(0.1)
        body[2].running_var.fill_(4.0)
        x = randn(3, 10, dtype=torch.float64)
        norm = (x - x.mean(1, keepdim=True)) / (
            x.var(1, unbiased=False, keepdim=True) + 1e-5
        ).sqrt()
        want = ((norm @ body[1].weight.T + body[1].bias - 0.1) / math.sqrt(4 + 1e-5)).relu()
        torch.testing.assert_close(body(x), want)

    def test_running_statistics(self):
        body = ref.encoder("features", 6, features=10).double().train()
        x = randn(4, 10, dtype=torch.float64)
        linear = body[1](body[0](x))
        body(x)
        torch.testing.assert_close(body[2].running_mean, 0.1 * linear.mean(0))
        torch.testing.assert_close(body[2].running_var, 0.9 + 0.1 * linear.var(0, unbiased=True))


class Aggregation(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.net = ref.Transformer(16, heads=4, tokens=2).double()
        self.salient = randn(3, 5, 16, seed=1, dtype=torch.float64)
        self.sub = randn(3, 7, 16, seed=2, dtype=torch.float64)

    def test_names(self):
        parts = [f"{n}.weight" for n in ("q_w", "k_w", "v_w", "fc", "layer_norm")]
        names = {f"crs_attn.{n}" for n in (*parts, "q", "layer_norm.bias")}
        names |= {f"mlp.{n}.{p}" for n in ("w_1", "w_2", "layer_norm") for p in ("weight", "bias")}
        self.assertEqual(set(self.net.state_dict()), names)
        self.assertEqual(self.net.mlp.w_1.weight.shape, (64, 16))
        self.assertLessEqual(self.net.crs_attn.q.abs().max().item(), 0.5)

    def test_three_layers(self):
        net = ref.Transformer(16, heads=4, mlp_layers=3)
        self.assertEqual(net.mlp.w_2.weight.shape, (64, 64))
        self.assertEqual(net.mlp.w_3.weight.shape, (16, 64))

    def test_logits_by_hand(self):
        logits = self.net.logits(self.salient[0])
        a = self.net.crs_attn
        for t in range(2):
            for h in range(4):
                part = slice(4 * h, 4 * h + 4)
                q = a.q_w.weight[part] @ a.q[0, t]
                k = self.salient[0] @ a.k_w.weight[part].T
                torch.testing.assert_close(logits[:, 4 * t + h], k @ q / 2)

    def torch_attention(self, query, rows):
        """PyTorch's own multi-head attention with the same weights."""
        a = self.net.crs_attn
        zero = torch.zeros(16, dtype=torch.float64)
        out, _ = torch.nn.functional.multi_head_attention_forward(
            query.transpose(0, 1),
            rows.transpose(0, 1),
            rows.transpose(0, 1),
            16,
            4,
            None,
            zero.repeat(3),
            None,
            None,
            False,
            0.0,
            a.fc.weight,
            zero,
            use_separate_proj_weight=True,
            q_proj_weight=a.q_w.weight,
            k_proj_weight=a.k_w.weight,
            v_proj_weight=a.v_w.weight,
        )
        return out.transpose(0, 1)

    def test_dual_by_torchs_attention(self):
        got = self.net.dual(self.salient, self.sub)
        a, mlp = self.net.crs_attn, self.net.mlp
        q = a.q.expand(3, -1, -1)
        z1 = self.torch_attention(q, self.salient) + q
        z2 = self.torch_attention(a.layer_norm(z1), self.sub)
        z = nn.functional.layer_norm(z1 + z2, (16,), eps=1e-6)
        z_prime = nn.functional.layer_norm(mlp.w_2(mlp.w_1(z).relu()) + z, (16,), eps=1e-6)
        for name, want in (("z1", z1), ("z2", z2), ("z", z), ("z_prime", z_prime)):
            torch.testing.assert_close(got[name], want)

    def test_sub_salient_is_detached(self):
        self.salient.requires_grad_()
        self.sub.requires_grad_()
        self.net.dual(self.salient, self.sub)["z2"].sum().backward()
        self.assertIsNone(self.sub.grad)
        self.assertGreater(self.salient.grad.abs().max(), 0)
        self.assertGreater(self.net.crs_attn.q.grad.abs().max(), 0)

    def test_masked_rows_are_left_out(self):
        present = torch.ones(3, 7, dtype=torch.bool)
        present[0, 4:] = False
        present[1] = False
        got = self.net.dual(self.salient, self.sub, sub_present=present)["z_prime"]
        torch.testing.assert_close(
            got[:1], self.net.dual(self.salient[:1], self.sub[:1, :4])["z_prime"]
        )
        torch.testing.assert_close(got[1:2], self.net.single(self.salient[1:2]))
        torch.testing.assert_close(
            got[2:], self.net.dual(self.salient[2:], self.sub[2:])["z_prime"]
        )

    def test_key_and_value_width(self):
        net = ref.Transformer(12, heads=3, key_width=5, value_width=7)
        self.assertEqual(net.crs_attn.v_w.weight.shape, (21, 12))
        self.assertEqual(net.crs_attn.fc.weight.shape, (12, 21))
        self.assertEqual(net.single(randn(2, 4, 12)).shape, (2, 1, 12))

    def test_dropout_only_in_training(self):
        net = ref.Transformer(16, heads=4, dropout=0.5, attention_dropout=0.5).double()
        self.assertFalse(torch.equal(net.single(self.salient), net.single(self.salient)))
        net.eval()
        self.assertTrue(torch.equal(net.single(self.salient), net.single(self.salient)))


class Scan(unittest.TestCase):
    def sets(self, steps):
        return [(step.salient, step.sub_salient) for step in steps]

    def test_scores(self):
        logits = torch.log(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
        torch.testing.assert_close(ref.scores(logits), torch.tensor([0.375, 0.625]))

    def test_one_head_by_hand(self):
        logits = column(1, 5, 2, 4, 3, 6)
        want = [([1, 3], [2, 0]), ([5, 1], [3, 4])]
        for rule in ("upstream", "joint"):
            self.assertEqual(self.sets(ref.scan(logits, 2, 2, 2, rule)), want)
        self.assertEqual(self.sets(ref.scan(logits, 2, 2, 2, "global")), want[-1:])

    def test_rules_agree_for_one_head_and_token(self):
        logits = randn(50, 1, dtype=torch.float64)
        want = logits[:, 0].argsort(descending=True).tolist()
        for rule in ("upstream", "joint", "global"):
            last = ref.scan(logits, 5, 9, 7, rule)[-1]
            self.assertEqual((last.salient, last.sub_salient), (want[:5], want[5:14]))

    def test_steps_and_short_last_step(self):
        steps = ref.scan(column(*range(10)), 3, 4, 3)
        self.assertEqual([len(s.sub_salient) for s in steps], [3, 4, 4])
        self.assertEqual(steps[-1].salient, [9, 8, 7])

    def test_ips(self):
        for step in ref.scan(randn(20, 8), 4, 0, 5):
            self.assertEqual((len(step.salient), step.sub_salient), (4, []))
            self.assertEqual(step.sub_salient_gap, math.inf)

    def test_sub_salient_never_returns_under_upstream(self):
        a, b, c, d = (0.1, 2.9), (2.0, 2.0), (5.0, 0.1), (0.2, 5.0)
        logits = torch.tensor([b, a, c, d], dtype=torch.float64)
        upstream = ref.scan(logits, 1, 1, 1, "upstream")
        seen_sub = set()
        for step in upstream:
            self.assertFalse(seen_sub & set(step.salient))
            seen_sub |= set(step.sub_salient)

    def test_rules_differ_when_heads_disagree(self):
        """Only a ranking of all three rows lets row 1 back from S.

        exp(logit) by head is 0 = (10, 1), 1 = (1, 8), 2 = (28, 1). Over {0, 1}: 0 has
        (10/11 + 1/9) / 2 = 0.51 and is salient. Over {0, 2}: 2 wins. Over {0, 1, 2}: 1 has
        (1/39 + 8/10) / 2 = 0.413 and 2 has (28/39 + 1/10) / 2 = 0.409.
        """
        logits = torch.tensor([(10, 1), (1, 8), (28, 1)], dtype=torch.float64).log()
        self.assertEqual(self.sets(ref.scan(logits, 1, 1, 1, "upstream")), [([0], [1]), ([2], [0])])
        self.assertEqual(self.sets(ref.scan(logits, 1, 1, 1, "joint")), [([0], [1]), ([1], [2])])
        self.assertEqual(self.sets(ref.scan(logits, 1, 1, 1, "global")), [([1], [2])])

    def test_ties(self):
        logits = torch.zeros(6, 2)
        for rule in ("upstream", "joint"):
            last = ref.scan(logits, 2, 2, 2, rule)[-1]
            self.assertEqual((last.salient, last.sub_salient), ([0, 1], [2, 3]))
            self.assertEqual(last.gap, 0)
        last = ref.scan(logits, 2, 2, 2, "global", places=[5, 4, 3, 2, 1, 0])[0]
        self.assertEqual((last.salient, last.sub_salient), ([5, 4], [3, 2]))

    def test_gaps(self):
        logits = column(4, 2, 1).log()
        step = ref.scan(logits, 1, 1, 2)[0]
        self.assertAlmostEqual(step.salient_gap, 0.5)
        self.assertAlmostEqual(step.sub_salient_gap, 0.5)
        self.assertEqual(ref.scan(logits, 1, 5, 2)[0].sub_salient_gap, math.inf)

    def test_few_patches(self):
        for rule in ("upstream", "joint", "global"):
            self.assertEqual(self.sets(ref.scan(column(1, 2, 3), 3, 2, 2, rule)), [([0, 1, 2], [])])
            last = ref.scan(column(1, 2, 3, 4), 3, 5, 2, rule)[-1]
            self.assertEqual((last.salient, last.sub_salient), ([3, 2, 1], [0]))

    def test_global_is_order_free(self):
        logits = randn(40, 8, dtype=torch.float64)
        order = torch.randperm(40, generator=generator(3))
        straight = ref.scan(logits, 6, 8, 5, "global")[0]
        mixed = ref.scan(logits[order], 6, 8, 9, "global", order)[0]
        self.assertEqual(straight.salient, order[mixed.salient].tolist())
        self.assertEqual(straight.sub_salient, order[mixed.sub_salient].tolist())


def small_net(**options):
    torch.manual_seed(0)
    settings = dict(kind="features", width=16, features=10, heads=4, m=4, s=6, step=3)
    settings.update(options)
    return ref.Net(settings.pop("tasks", [("label", "multiclass", 3)]), **settings).double()


class Whole(unittest.TestCase):
    def setUp(self):
        self.patches = randn(2, 20, 10, dtype=torch.float64)

    def test_names(self):
        heads = {k for k in small_net().state_dict() if not k.startswith(("encoder.", "transf."))}
        self.assertEqual(heads, {"output_layers.label.0.weight", "output_layers.label.0.bias"})

    def test_select_is_the_scan(self):
        for rule in ("upstream", "joint", "global"):
            net = small_net(rule=rule).train()
            keep = torch.stack([torch.randperm(20, generator=generator(b))[:15] for b in range(2)])
            chosen = net.select(self.patches, keep)
            self.assertTrue(all(module.training for module in net.modules()))
            net.eval()
            with torch.no_grad():
                for b in range(2):
                    rows = net.encoder(self.patches[b, keep[b]])
                    last = ref.scan(net.transf.logits(rows), 4, 6, 3, rule, keep[b])[-1]
                    self.assertEqual(chosen[b].salient.tolist(), keep[b][last.salient].tolist())
                    self.assertEqual(
                        chosen[b].sub_salient.tolist(), keep[b][last.sub_salient].tolist()
                    )
                    torch.testing.assert_close(chosen[b].sub_embeddings, rows[last.sub_salient])

    def test_select_leaves_statistics_alone(self):
        net = small_net().train()
        before = {k: v.clone() for k, v in net.state_dict().items()}
        net.select(self.patches)
        self.assertTrue(all(torch.equal(v, before[k]) for k, v in net.state_dict().items()))

    def test_forward_by_hand(self):
        net = small_net().train()
        got = net(self.patches)["label"]
        chosen = net.selection
        rows = torch.cat([self.patches[b, chosen[b].salient] for b in range(2)])
        salient = net.encoder(rows).view(2, 4, 16)
        sub = torch.stack([one.sub_embeddings for one in chosen])
        z = net.transf.dual(salient, sub)["z_prime"][:, 0]
        torch.testing.assert_close(got, net.output_layers["label"](z))

    def test_one_batchnorm_update(self):
        net = small_net().train()
        net(self.patches)
        self.assertEqual(net.encoder[2].num_batches_tracked, 1)

    def test_evaluation_batches_do_not_matter(self):
        for options in (
            {},
            {"method": "ips"},
            {"single_attention": True},
            {"position_encoding": True},
        ):
            net = small_net(**options).eval()
            together = net(self.patches)["label"]
            alone = torch.cat([net(self.patches[b : b + 1])["label"] for b in range(2)])
            torch.testing.assert_close(together, alone)

    def test_ragged_bags(self):
        for options in ({}, {"single_attention": True}):
            net = small_net(**options).eval()
            bags = [self.patches[0], self.patches[1, :3], self.patches[0, :8]]
            together = net(bags)["label"]
            self.assertEqual([len(one.salient) for one in net.selection], [4, 3, 4])
            self.assertEqual([len(one.sub_salient) for one in net.selection], [6, 0, 4])
            alone = torch.cat([net([bag])["label"] for bag in bags])
            torch.testing.assert_close(together, alone)

    def test_all_salient(self):
        net = small_net(m=30).eval()
        net(self.patches)
        self.assertEqual(net.selection[0].salient.tolist(), list(range(20)))
        self.assertEqual(net.selection[0].gap, math.inf)
        z = net.transf.single(net.encoder(self.patches[0])[None])
        torch.testing.assert_close(net.aggregated[:1], z)

    def test_m_eval(self):
        net = small_net(m_eval=9)
        net.eval().select(self.patches)
        self.assertEqual(len(net.select(self.patches)[0].salient), 9)
        self.assertEqual(len(net.train().select(self.patches)[0].salient), 4)

    def test_single_attention(self):
        net = small_net(single_attention=True).eval()
        net(self.patches)
        one = net.selection[0]
        rows = net.encoder(self.patches[0, torch.cat((one.salient, one.sub_salient))])
        torch.testing.assert_close(net.aggregated[:1], net.transf.single(rows[None]))

    def test_position_encoding(self):
        net = small_net(position_encoding=True).eval()
        net(self.patches)
        with torch.no_grad():
            rows = net.encoder(self.patches[1]) + ref.sinusoid(torch.arange(20), 16)
        one = net.selection[1]
        torch.testing.assert_close(one.logits, net.transf.logits(rows))
        z = net.transf.dual(rows[one.salient][None], rows[one.sub_salient][None])["z_prime"]
        torch.testing.assert_close(net.aggregated[1:], z)

    def test_tasks_use_their_tokens(self):
        tasks = [("a", "multiclass", 3), ("b", "multilabel", 2), ("c", "binary", 1)]
        net = small_net(tasks=tasks).eval()
        out = net(self.patches)
        self.assertEqual([out[k].shape for k in "abc"], [(2, 3), (2, 2), (2, 1)])
        torch.testing.assert_close(
            out["b"], net.output_layers["b"][0](net.aggregated[:, 1]).sigmoid()
        )

    def test_single_precision_pictures(self):
        torch.manual_seed(0)
        net = ref.Net([("x", "multiclass", 2)], width=128, stages=2, channels=1, m=2, s=2, step=2)
        out = net.train()(rand(2, 6, 1, 32, 32))
        self.assertEqual(out["x"].dtype, torch.float32)


class Training(unittest.TestCase):
    def test_nll(self):
        p = torch.tensor([[0.2, 0.8], [1.0, 0.0]], dtype=torch.float64)
        want = -(math.log(0.8 + 1e-6) + math.log(1e-6)) / 2
        self.assertAlmostEqual(
            ref.loss(p, torch.tensor([1, 1]), "multiclass").item(), want, places=12
        )

    def test_plain_cross_entropy(self):
        logits, labels = randn(4, 5, dtype=torch.float64), torch.tensor([0, 4, 2, 2])
        got = ref.loss(logits, labels, "multiclass", 0, from_logits=True)
        torch.testing.assert_close(got, nn.functional.cross_entropy(logits, labels))
        got = ref.loss(logits.softmax(1), labels, "multiclass", 0)
        torch.testing.assert_close(got, nn.functional.cross_entropy(logits, labels))

    def test_logits_and_probabilities_agree(self):
        logits = randn(4, 3, dtype=torch.float64)
        labels = {"multiclass": torch.tensor([0, 1, 2, 2]), "multilabel": torch.ones(4, 3)}
        for kind, label in labels.items():
            p = logits.softmax(1) if kind == "multiclass" else logits.sigmoid()
            torch.testing.assert_close(
                ref.loss(logits, label, kind, from_logits=True), ref.loss(p, label, kind)
            )

    def test_binary_clamps(self):
        p = torch.tensor([[0.0], [0.25]], dtype=torch.float64)
        want = (100 - math.log(0.75)) / 2
        self.assertAlmostEqual(ref.loss(p, torch.tensor([1, 0]), "binary").item(), want, places=12)

    def test_task_mean(self):
        p = {"a": torch.tensor([[0.5, 0.5]]), "b": torch.tensor([[0.25]])}
        labels = {"a": torch.tensor([0]), "b": torch.tensor([1])}
        got = ref.loss(p, labels, {"a": "multiclass", "b": "binary"}, 0)
        self.assertAlmostEqual(got.item(), (math.log(2) + math.log(4)) / 2, places=6)

    def test_learning_rate(self):
        self.assertAlmostEqual(ref.learning_rate(1, 10, 100, 0.3), 0.03, places=15)
        self.assertEqual(ref.learning_rate(10, 10, 100, 0.3), 0.3)
        self.assertAlmostEqual(ref.learning_rate(55, 10, 100, 0.3), 0.3 * 0.5005, places=15)
        self.assertAlmostEqual(ref.learning_rate(100, 10, 100, 0.3), 0.0003, places=15)
        self.assertEqual(ref.learning_rate(10, 10, 10, 0.3), 0.3)
        self.assertAlmostEqual(ref.learning_rate(9, 10, 10, 0.3), 0.27, places=15)
        self.assertAlmostEqual(ref.learning_rate(4, 0, 4, 0.3), 0.0003, places=15)

    def test_adamw_first_step(self):
        layer = nn.Linear(2, 1, bias=False).double()
        start = layer.weight.detach().clone()
        optimizer = ref.make_optimizer(layer, lr=0.01)
        layer.weight.grad = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
        optimizer.step()
        want = start * (1 - 0.01 * 0.1) - 0.01 * torch.tensor([[1.0, -1.0]], dtype=torch.float64)
        torch.testing.assert_close(layer.weight.detach(), want, rtol=0, atol=1e-9)

    def test_train(self):
        net = small_net().train()
        start = {k: v.clone() for k, v in net.state_dict().items()}
        patches, labels = randn(2, 20, 10, dtype=torch.float64), {"label": torch.tensor([0, 2])}
        run = ref.train(net, [(patches, labels)], 30, lr=1e-2, warmup=3)
        self.assertTrue(all(torch.equal(v, start[k]) for k, v in net.state_dict().items()))
        steps = list(run)
        self.assertTrue(all(torch.equal(v, start[k]) for k, v in steps[0][2].items()))
        self.assertLess(steps[-1][0], steps[0][0] / 2)
        again = small_net().train()
        again.load_state_dict(steps[7][2])
        again(patches)
        value = ref.loss(again.logits, labels, again.kinds, from_logits=True).item()
        self.assertEqual(value, steps[7][0])


class Baselines(unittest.TestCase):
    def test_gated_attention(self):
        pool, rows = ref.GatedAttention(6, 4).double(), randn(5, 6, dtype=torch.float64)
        gate = torch.stack([pool.w(pool.V(h).tanh() * pool.U(h).sigmoid())[0] for h in rows])
        weights = gate.exp() / gate.exp().sum()
        torch.testing.assert_close(pool(rows), weights @ rows)
        torch.testing.assert_close(pool(rows[None])[0], pool(rows))

    def test_mean_pool(self):
        self.assertEqual(
            ref.MeanPool()(torch.tensor([[1.0, 2.0], [3.0, 6.0]])).tolist(), [2.0, 4.0]
        )

    def test_top_mil_binary(self):
        logits = torch.tensor([[0.0], [2.0], [-1.0], [1.0]], dtype=torch.float64)
        out = ref.top_mil(logits, 1, 2, "binary")
        self.assertEqual(out["top"].tolist(), [1, 3])
        want = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
        self.assertAlmostEqual(out["loss"].item(), want)
        self.assertAlmostEqual(out["bag"].item(), 1 / (1 + math.exp(-2)))

    def test_top_mil_multiclass(self):
        logits = torch.tensor([[0.0, 0.1], [3.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
        out = ref.top_mil(logits, 0, 2)
        self.assertEqual(out["top"].tolist(), [1, 2])
        want = nn.functional.cross_entropy(logits[1:], torch.tensor([0, 0]))
        torch.testing.assert_close(out["loss"], want)
        torch.testing.assert_close(
            out["bag"], torch.tensor([1.5, 1.0], dtype=torch.float64).softmax(0)
        )


class Metrics(unittest.TestCase):
    def test_auc_counts_ties_half(self):
        p, y = torch.tensor([0.5, 0.5, 0.2, 0.9]), torch.tensor([1, 0, 0, 1])
        self.assertAlmostEqual(ref.metrics("binary", p, y)["auc"], 3.5 / 4)

    def test_multiclass(self):
        p, y = randn(60, 4, dtype=torch.float64).softmax(1), torch.arange(60) % 4
        got = ref.metrics("multiclass", p, y)
        want = sk.roc_auc_score(y.numpy(), p.numpy(), multi_class="ovr", average="macro")
        self.assertAlmostEqual(got["auc"], want, places=12)
        self.assertAlmostEqual(got["accuracy"], (p.argmax(1) == y).double().mean().item())

    def test_two_classes(self):
        p, y = randn(30, 2, dtype=torch.float64).softmax(1), torch.arange(30) % 2
        got = ref.metrics("multiclass", p, y)
        self.assertAlmostEqual(got["auc"], sk.roc_auc_score(y.numpy(), p[:, 1].numpy()), places=12)
        self.assertAlmostEqual(got["kappa"], ref.metrics("binary", p[:, 1], y)["kappa"], places=12)

    def test_by_hand(self):
        got = ref.metrics("binary", torch.tensor([0.9, 0.5, 0.4, 0.1]), torch.tensor([1, 0, 0, 0]))
        self.assertAlmostEqual(got["accuracy"], 0.75)
        self.assertAlmostEqual(got["balanced_accuracy"], (1 + 2 / 3) / 2)
        self.assertAlmostEqual(got["macro_f1"], (2 / 3 + 0.8) / 2)
        self.assertAlmostEqual(got["kappa"], 0.5)

    def test_quadratic_kappa_by_hand(self):
        guess, truth = [0, 4, 4, 0], [0, 1, 4, 0]
        got = ref.metrics("multiclass", torch.eye(5)[guess], torch.tensor(truth))
        pairs = [(a - b) ** 2 for a in guess for b in truth]
        self.assertAlmostEqual(got["quadratic_kappa"], 1 - (9 / 4) / (sum(pairs) / 16))

    def test_multilabel(self):
        p = torch.tensor([[0.9, 0.2], [0.6, 0.7], [0.1, 0.8]])
        got = ref.metrics("multilabel", p, torch.tensor([[1, 0], [0, 1], [0, 1]]))
        self.assertAlmostEqual(got["exact_match"], 2 / 3)
        self.assertAlmostEqual(got["auc"], 1.0)

    def test_missing_class(self):
        got = ref.metrics("multiclass", torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, 1]))
        self.assertEqual(got["auc"], 1.0)


if __name__ == "__main__":
    unittest.main()

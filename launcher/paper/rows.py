"""The rows of the paper's tables, and what each asks of this program.

datasets/paper_tables.csv holds the rows as printed. A row becomes overrides ("table.key=value") of
its data set's configuration, configs/<data>.toml; what that says already (sizes, rates, encoder) is
not repeated here.
"""

import csv
import dataclasses
import decimal
import functools
import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = ("table1", "table2", "table3", "fig3", "megapixel_mnist")
DEMO_DATA = ("demo", "demo_alike")
DEMO_CONFIGS = {"demo": "demo_rows", "demo_alike": "demo_alike_rows"}

# Selection and aggregator of each method, by the name that the paper gives it. Other systems of its
# tables are not built here.
METHODS = {
    "IPSformer": ("ips", "cross_attention"),
    "IPS": ("ips", "cross_attention"),
    "DBPSformer": ("dbps", "dual_attention"),
    "dual buffer + dual attention": ("dbps", "dual_attention"),
    "dual buffer": ("dbps", "cross_attention"),
    "RPSformer": ("random", "cross_attention"),
    "DeepMIL": ("all", "gated_attention"),
    "TopMIL": ("ips", "top_mil"),
    "ResNet-18": ("whole", "mean"),
    "ResNet-50": ("whole", "mean"),
}

# Fig. 3: a curve each, and the values of r that this program measures.
CURVES = {"patch drop": "none", "random erasing": "random", "random patch erasing": "patches"}
CURVE_RATIOS = ("0.1", "0.3", "0.5", "0.7")
# Neither is in the paper's text; its Table 2 ends with a row of Table 1 that has these.
INFERRED_M_S = (12, 24)
# More patches than any picture of the data set has: "all of them".
ALL_PATCHES = {"camelyon16": 70000}


@dataclasses.dataclass(frozen=True)
class Printed:
    """What the paper prints of a row, as text; "" where it does not."""
    data: str
    value: str = ""
    vram_gb: str = ""
    time_ms: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table. M, M' and S are None where the configuration's own hold."""
    table: str
    data: str
    method: str
    drop: str = "0"
    erase: str = "none"
    scale: str = "1"
    salient: int | None = None
    salient_eval: int | None = None
    sub_salient: int | None = None
    metric: str = "accuracy"
    note: str = ""
    printed: tuple[Printed, ...] = ()

    @property
    def config(self):
        return f"configs/{DEMO_CONFIGS.get(self.data, self.data)}.toml"

    @property
    def selection(self):
        """Of a row with fewer patches than there are, whose method would take all: a random few."""
        method = METHODS[self.method][0]
        every = self.salient is None or self.salient >= patches_of(self.data)
        return "random" if method == "all" and not every else method

    @property
    def curve(self):
        return {kind: name for name, kind in CURVES.items()}[self.erase]

    def settings(self):
        """{key: value} over the configuration."""
        method, aggregator = self.selection, METHODS[self.method][1]
        keys = {"selection.method": method, "aggregator.kind": aggregator}
        if method in ("all", "whole"):
            keys["selection.salient"] = 0
        elif self.salient is not None:
            keys["selection.salient"] = self.salient
            if self.salient_eval != self.salient:
                keys["selection.salient_eval"] = self.salient_eval
        if method != "dbps":
            keys["selection.sub_salient"] = 0
        elif self.sub_salient is not None:
            keys["selection.sub_salient"] = self.sub_salient
        if method == "whole":
            keys.update(self._whole_picture())
        if self.erase == "none":
            keys["drop.ratio"] = self.drop
        else:
            keys.update({"drop.ratio": "0", "augment.erase": self.erase,
                         "drop.erase_ratio": self.drop})
        return {key: str(value) for key, value in keys.items()}

    def _whole_picture(self):
        config = read_config(self.config)
        size = {key: rounded(config["data"][key], self.scale) for key in ("height", "width")}
        keys = {"data.height": size["height"], "data.width": size["width"], "data.patch_size": 0,
                "encoder.kind": self.method.replace("-", "").lower(), "encoder.projector": "none",
                "encoder.width": 0}
        # Inferred: the paper gives the translation for pictures of full size.
        keys["augment.translate"] = rounded(config["augment"]["translate"], self.scale)
        return keys

    def overrides(self):
        return [f"{key}={value}" for key, value in self.settings().items()]

    def run_name(self, seed):
        """Equal settings have equal names, so that tables share their runs."""
        method, aggregator = self.selection, METHODS[self.method][1]
        words = [self.data, method, aggregator]
        if method == "whole":
            words.append(f"x{self.scale}")
        elif method != "all" and self.salient is not None:
            words.append(f"m{self.salient}")
            if self.salient_eval != self.salient:
                words.append(f"eval{self.salient_eval}")
            if method == "dbps":
                words.append(f"s{self.sub_salient}")
        if self.erase != "none":
            words.append(f"erase_{self.erase}{self.drop}")
        elif method != "whole":
            words.append(f"r{self.drop}")
        return "-".join(words) + f"-seed{seed}"

    def label(self):
        """What a reader of the table is told of this row."""
        words = []
        if METHODS[self.method][0] == "whole":
            words.append(f"picture x {self.scale}")
        elif self.salient is not None:
            words.append(f"M = {self.salient}")
            if self.salient_eval != self.salient:
                words.append(f"M' = {self.salient_eval}")
            if self.sub_salient is not None:
                words.append(f"S = {self.sub_salient}")
        if self.table == "fig3":
            words.append(f"{self.curve}, r = {self.drop}" if self.drop != "0" else "r = 0")
        elif METHODS[self.method][0] != "whole":
            words.append(f"r = {self.drop}")
        return f"{self.method}: " + ", ".join(words)


def rounded(number, scale):
    """`number` times a decimal `scale`, to the nearest whole one, half upwards."""
    product = decimal.Decimal(str(number)) * decimal.Decimal(scale)
    return int(product.to_integral_value(rounding=decimal.ROUND_HALF_UP))


def merged(base, over):
    """Two TOML documents as one, the second's keys above the first's."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@functools.cache
def read_config(path):
    """A configuration of this project as written, its `base` chain joined in."""
    path = ROOT / path
    document = tomllib.loads(path.read_text())
    base = document.pop("base", None)
    return merged(read_config(path.parent / base), document) if base else document


@functools.cache
def patches_of(data):
    """N of a data set, from its configuration."""
    if data in ALL_PATCHES:
        return ALL_PATCHES[data]
    options = read_config(f"configs/{DEMO_CONFIGS.get(data, data)}.toml")["data"]
    patch = options["patch_size"]
    return (options["height"] // patch) * (options["width"] // patch)


def whole(text):
    return int(text) if text else None


def plain(ratio):
    """"0.10" -> "0.1", "0.0" -> "0"."""
    return format(decimal.Decimal(ratio or "0").normalize(), "f")


@functools.cache
def printed_rows():
    """The paper's rows that this program has, in the order of the print."""
    with open(ROOT / "datasets" / "paper_tables.csv", newline="", encoding="utf-8") as file:
        return [row_of(line) for line in csv.DictReader(file) if line["method"] in METHODS]


def row_of(line):
    note = line["note"]
    salient, salient_eval, sub_salient = (whole(line[key]) for key in ("m", "m_eval", "s"))
    if line["table"] == "table3":
        salient = salient_eval = INFERRED_M_S[0]
        sub_salient = INFERRED_M_S[1] if line["method"] == "DBPSformer" else None
        note += "; as Table 2's, inferred"
    if METHODS[line["method"]][0] == "whole" and line["scale"] != "1":
        note = "translation scaled with the picture, inferred"
    row = Row(table=line["table"], data=line["data"], method=line["method"],
              drop=plain(line["drop_ratio"]), scale=line["scale"], salient=salient,
              salient_eval=salient_eval, sub_salient=sub_salient, metric=line["metric"], note=note,
              printed=(Printed(line["data"], line["value"], line["vram_gb"], line["time_ms"]),))
    if row.selection == "random" and METHODS[row.method][0] == "all":
        note = "; ".join(filter(None, [note, "M random patches of the N, inferred"]))
        return dataclasses.replace(row, note=note)
    return row


def table2_demo(data):
    """Table 2's methods and ratios on demo data, beside what the paper prints for its own."""
    rows = {}
    for row in printed_rows():
        if row.table == "table2":
            rows.setdefault((row.method, row.drop), []).append(row)
    return [Row(table="table2", data=data, method=method, drop=drop,
                printed=tuple(row.printed[0] for row in same))
            for (method, drop), same in rows.items()]


def fig3(data):
    """r = 0, which all three curves begin with, then the curves."""
    salient, sub_salient = (None, None) if data in DEMO_DATA else INFERRED_M_S
    note = "" if data in DEMO_DATA else "M and S inferred"
    start = Row(table="fig3", data=data, method="DBPSformer", salient=salient, salient_eval=salient,
                sub_salient=sub_salient, note=note)
    return [start] + [dataclasses.replace(start, drop=ratio, erase=erase)
                      for erase in CURVES.values() for ratio in CURVE_RATIOS]


def megapixel_mnist():
    return [Row(table="megapixel_mnist", data="megapixel_mnist", method="IPSformer")]


def data_of(table):
    """The data sets that a table has, in its order."""
    if table == "fig3":
        return ("cqu_bpdd", "fmow") + DEMO_DATA
    if table == "megapixel_mnist":
        return ("megapixel_mnist",)
    printed = tuple(dict.fromkeys(row.data for row in printed_rows() if row.table == table))
    return printed + (DEMO_DATA if table == "table2" else ())


def rows_of(table, data):
    if table == "fig3":
        return fig3(data)
    if table == "megapixel_mnist":
        return megapixel_mnist()
    if data in DEMO_DATA:
        return table2_demo(data)
    return [row for row in printed_rows() if row.table == table and row.data == data]


def baseline(rows):
    """The row that others are compared with: IPS without drop, at the smallest M trained and
    evaluated alike; of Fig. 3 the one that drops and erases nothing. None where there is none."""
    if rows[0].table == "fig3":
        return rows[0]
    plain_ips = [row for row in rows if METHODS[row.method] == METHODS["IPS"] and row.drop == "0"
                 and row.salient == row.salient_eval]
    return min(plain_ips, key=lambda row: row.salient or 0, default=None)

"""A table of results as Markdown and as one HTML page that needs nothing else."""

import html
import math

from paper import rows as paper_rows

NOT_PRINTED = "not printed"
NOT_RUN = "not run"
TITLES = {
    "table1": "Table 1", "table2": "Table 2", "table3": "Table 3", "fig3": "Figure 3",
    "megapixel_mnist": "Megapixel MNIST",
}
METRICS = {"accuracy": "accuracy, %", "auc": "AUC, %", "inference": "accuracy, %"}

# Light and dark; colours of series are Okabe and Ito's, told apart by colour-blind readers.
STYLE = """
:root { --paper: #fbfbf9; --card: #fff; --ink: #1d2327; --soft: #5c666d; --rule: #e1e3e0;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #121517; --card: #1a1e21; --ink: #e4e7e8; --soft: #9aa4aa; --rule: #2c3236;
    --s0: #62b5e5; --s1: #f08a45; --s2: #2fc79b; }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: clamp(20px, 4vw, 56px) clamp(14px, 4vw, 48px); }
h1 { margin: 0 0 6px; font-size: clamp(24px, 3.4vw, 36px); line-height: 1.2; font-weight: 650; }
.lede { margin: 0 0 28px; color: var(--soft); max-width: 75ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 14px; border-bottom: 1px solid var(--rule); text-align: right;
  vertical-align: top; }
th { color: var(--soft); font-weight: 550; }
thead th { vertical-align: bottom; }
tbody th, th:first-child { text-align: left; padding-left: 0; }
tbody th { color: var(--ink); font-weight: 500; min-width: 19em; }
td { white-space: nowrap; }
td.words { white-space: normal; text-align: left; color: var(--soft); min-width: 14em; }
ul { margin: 24px 0 0; padding-left: 1.2em; color: var(--soft); font-size: 14px; max-width: 90ch; }
figure { margin: 0 0 28px; max-width: 720px; }
svg { display: block; width: 100%; height: auto; }
"""


def number(value, digits=1):
    return f"{value:.{digits}f}".replace("-", "\u2212")


def mean_sd(summary):
    if math.isnan(summary.sd):
        return number(summary.mean)
    return f"{number(summary.mean)} ± {number(summary.sd)}"


def difference_text(summary):
    sign = "+" if summary.mean > 0 else ""
    if math.isnan(summary.half):
        return f"{sign}{number(summary.mean)} (n = 1)"
    return (f"{sign}{number(summary.mean)} ± {number(summary.sd)} "
            f"[{number(summary.low)}, {number(summary.high)}]")


def size_text(count):
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"


def printed_text(row, field, unit=""):
    """What the paper prints; with the data's name where those are others than the row's."""
    words = []
    for printed in row.printed:
        value = getattr(printed, field)
        if value:
            words.append(value + unit + ("" if printed.data == row.data else f" ({printed.data})"))
    return "; ".join(words) or NOT_PRINTED


def headings(rows, baseline):
    names = ["row", f"ours: {METRICS[rows[0].metric]}, mean ± sd", "last epoch", "n", "paper"]
    if baseline is not None:
        names.append("difference from the baseline, ± sd [95 % of its mean]")
    return names + ["ours: ms a batch of 16", "paper: ms", "ours: peak of tensors", "paper: peak",
                    "remarks"]


def paper_peak(row):
    if row.table == "table3":
        return printed_text(row, "vram_gb", " MB")
    return printed_text(row, "vram_gb", " GB")


def cells(result, baseline):
    row = result.row
    best, last, time = result.best, result.last, result.milliseconds()
    line = [row.label(), mean_sd(best) if best else NOT_RUN, mean_sd(last) if last else "",
            f"{len(result.by_seed)} of {result.planned}", printed_text(row, "value")]
    if baseline is not None:
        difference = result.difference(baseline)
        if result is baseline:
            line.append("baseline")
        else:
            line.append(difference_text(difference) if difference else "")
    peak = result.bytes()
    line += [number(time.mean, 0) if time else "not measured" if best else "",
             printed_text(row, "time_ms"),
             size_text(peak) + (" (CPU)" if result.device() == "cpu" else "") if peak
             else "not measured" if best else "",
             paper_peak(row)]
    remarks = [row.note]
    if result.problem and not result.absent:
        missing = result.planned - len(result.by_seed)
        remarks.append(f"{missing} of {result.planned} not run: {result.problem}")
    return line + ["; ".join(filter(None, remarks))]


def notes(rows, baseline, results):
    """What a reader must know to read the figures, a sentence or two each."""
    row = rows[0]
    words = [
        "Ours: the test split, with the checkpoint that validation chose; no choice sees the test "
        "split. Last epoch: the same with the last checkpoint. The paper does not say over how "
        "many runs its figures are, and its released code picks the best epoch on the test set.",
        "sd: over seeds, of one run. A difference is taken seed by seed, on the same split; the "
        "interval in brackets is that of its mean by Student's t, and says nothing of other data.",
        f"ms: the median {'test' if row.metric == 'inference' else 'training'} batch of 16, the "
        "first left out, waiting for pictures not counted, on the machine of the run; the paper "
        "names no GPU.",
    ]
    if any(result.device() == "cpu" for result in results):
        words.append("Peaks marked (CPU) are bytes of tensors on the host, not of a GPU.")
    if any(cost.bytes is None for result in results for cost in result.costs):
        words.append("A peak 'not measured': the run recorded none.")
    if any("inferred" in each.note for each in rows):
        words.append("'inferred': the paper does not print this setting.")
    if any("uncertain" in each.note for each in rows):
        words.append("'uncertain': the print leaves open to which system the figures belong.")
    if row.data in paper_rows.DEMO_DATA:
        words.append("The paper has no such data: its figures are those of the data named beside "
                     "them, with settings of their own.")
    if row.data == "camelyon16":
        words.append("The frozen encoder is that of the store's features. The paper's was trained "
                     "beforehand on CAMELYON16 itself.")
    elif row.data not in paper_rows.DEMO_DATA:
        encoder = paper_rows.read_config(row.config)["encoder"]
        words.append(f"The encoder starts from {encoder.get('weights') or 'random weights'} unless "
                     "--set said otherwise, and is trained.")
    if row.table == "table3":
        words.append("Time and peak are of inference at batch 16; the paper's peak is printed in "
                     "MB.")
    for problem in dict.fromkeys(result.problem for result in results if result.absent):
        words.append(f"Not run: {problem}.")
    if baseline is not None:
        words.append(f"Baseline: {baseline.row.label()}.")
    return words


def title(table, data):
    return f"{TITLES[table]} on {data}"


def markdown(table, data, results, baseline, seeds, curves=""):
    rows = [result.row for result in results]
    lines = [f"# {title(table, data)}, {seeds_text(seeds)}", ""]
    if curves:
        lines += [f"![{title(table, data)}]({curves})", ""]
    head = headings(rows, baseline)
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(cells(result, baseline)) + " |" for result in results]
    lines += ["", *(f"- {note}" for note in notes(rows, baseline, results))]
    return "\n".join(lines) + "\n"


def seeds_text(seeds):
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def page(table, data, results, baseline, seeds, svg=""):
    rows = [result.row for result in results]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headings(rows, baseline))
    body = []
    for result in results:
        first, *middle, last = (html.escape(cell) for cell in cells(result, baseline))
        body.append(f"<tr><th>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in middle)
                    + f'<td class="words">{last}</td></tr>')
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes(rows, baseline, results))
    figure = f"<figure>{svg}</figure>\n" if svg else ""
    name = html.escape(title(table, data))
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body><main>\n"
            f'<h1>{name}</h1>\n<p class="lede">Dual-Buffer Patch Selection: what this program '
            f"reaches beside what the paper prints; {seeds_text(seeds)}.</p>\n{figure}"
            f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
            + "\n".join(body) + f"\n</tbody>\n</table></div>\n<ul>{items}</ul>\n</main></body>\n"
            "</html>\n")

"""Fig. 3 as SVG: a curve a kind, a point a ratio with the mean of its seeds and a bar of one sd."""

import math

from paper.rows import CURVES

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 42, 52
SHIFT = 5  # pixels between the curves' points of one ratio, so that bars do not hide each other

# Standing alone; on the page that holds it the page's colours win.
STYLE = """
.curves { --ink: #1d2327; --soft: #5c666d; --rule: #e1e3e0; --paper: #fbfbf9;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73;
  font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
@media (prefers-color-scheme: dark) { .curves { --ink: #e4e7e8; --soft: #9aa4aa; --rule: #2c3236;
  --paper: #121517; --s0: #62b5e5; --s1: #f08a45; --s2: #2fc79b; } }
.curves .sheet { fill: var(--paper); } .curves text { fill: var(--soft); }
.curves .grid { stroke: var(--rule); } .curves .base { stroke: var(--soft); stroke-dasharray: 4 4; }
.curves .line { fill: none; stroke: currentColor; stroke-width: 2; }
.curves .bar { stroke: currentColor; stroke-width: 1.3; } .curves .dot { fill: currentColor; }
.curves .c0 { color: var(--s0); } .curves .c1 { color: var(--s1); }
.curves .c2 { color: var(--s2); }
"""


def nice_step(span):
    """1, 2 or 5 times a power of ten, for four to nine lines over `span`."""
    raw = span / 6
    power = 10 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)


def spread(summary):
    return 0.0 if math.isnan(summary.sd) else summary.sd


class Axes:
    """Ratios and percents to pixels."""

    def __init__(self, summaries, ratios):
        low = min(s.mean - spread(s) for s in summaries)
        high = max(s.mean + spread(s) for s in summaries)
        self.step = nice_step(max(high - low, 1.0))
        self.low = math.floor(low / self.step) * self.step
        self.high = max(math.ceil(high / self.step) * self.step, self.low + self.step)
        self.right_ratio = max(ratios) + 0.05

    def x(self, ratio):
        return LEFT + ratio / self.right_ratio * (WIDTH - LEFT - RIGHT)

    def y(self, percent):
        return TOP + (self.high - percent) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def frame(self, ratios, label):
        parts = []
        for i in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + i * self.step
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                         f'y2="{y:.1f}"/><text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                         f"{value:g}</text>")
        for ratio in ratios:
            parts.append(f'<text x="{self.x(ratio):.1f}" y="{HEIGHT - BOTTOM + 20}" '
                         f'text-anchor="middle">{ratio:g}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
                     "r: share dropped or erased in training</text>")
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(f'<text x="16" y="{middle}" text-anchor="middle" '
                     f'transform="rotate(-90 16 {middle})">{label}</text>')
        return parts


def curve(axes, index, name, points):
    """`points`: [(ratio, summary)] in rising order."""
    shift = (index - 1) * SHIFT
    places = [(axes.x(ratio) + shift, summary) for ratio, summary in points]
    line = " ".join(f"{x:.1f},{axes.y(summary.mean):.1f}" for x, summary in places)
    parts = [f'<g class="c{index}"><polyline class="line" points="{line}"/>']
    for (ratio, summary), (x, _) in zip(points, places, strict=True):
        sd = spread(summary)
        low, high = axes.y(summary.mean - sd), axes.y(summary.mean + sd)
        parts.append(f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
                     f'<circle class="dot" cx="{x:.1f}" cy="{axes.y(summary.mean):.1f}" r="3.5">'
                     f"<title>{name}, r = {ratio:g}: {summary.mean:.1f} ± {sd:.1f} "
                     f"(n = {summary.count})</title></circle>")
    x = LEFT + index * 190
    parts.append(f'<line class="line" x1="{x}" x2="{x + 22}" y1="18" y2="18"/>'
                 f'<text x="{x + 28}" y="22">{name}</text></g>')
    return parts


def svg(results, label):
    """Of rows of Fig. 3 and what they reached; "" where no curve has a point."""
    start = next((result.best for result in results if result.row.drop == "0"), None)
    curves = {}
    for result in results:
        if result.row.drop != "0" and result.best:
            curves.setdefault(result.row.curve, []).append((float(result.row.drop), result.best))
    if not curves:
        return ""
    summaries = [summary for points in curves.values() for _, summary in points]
    ratios = sorted({ratio for points in curves.values() for ratio, _ in points})
    axes = Axes(summaries + ([start] if start else []), ratios)
    parts = axes.frame([0.0, *ratios] if start else ratios, label)
    if start:
        y = axes.y(start.mean)
        parts.append(f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"><title>r = 0: {start.mean:.1f} ± {spread(start):.1f}</title>'
                     "</line>")
    for index, name in enumerate(CURVES):
        if name in curves:
            points = ([(0.0, start)] if start else []) + sorted(curves[name], key=lambda p: p[0])
            parts += curve(axes, index, name, points)
    return (f'<svg class="curves" xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{label} over the share dropped or erased">\n'
            f"<style>{STYLE}</style>\n"
            f'<rect class="sheet" width="{WIDTH}" height="{HEIGHT}" rx="8"/>\n'
            + "\n".join(parts) + "\n</svg>\n")

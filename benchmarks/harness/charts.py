"""One SVG for each scenario: bars on a logarithmic scale, or lines where its metrics are points of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import median

from harness.duel import Result
from harness.report import values
from harness.scenario import Metric, Scenario

WIDTH, LEFT, RIGHT, TOP, ROW = 860, 210, 150, 64, 24
PLOT = WIDTH - LEFT - RIGHT
OURS, RIVAL, INK, FAINT = "#d9480f", "#8a96a3", "#1f2933", "#d5dbe1"
OUR_LINES = ("#d9480f", "#f08c00", "#e03131")
LINES = ("#1c7ed6", "#2b8a3e", "#862e9c", "#5c5f66", "#0b7285", "#364fc7", "#6b8e23", "#9c6ade")


def draw(scenario: Scenario, results: Sequence[Result], note: str) -> str | None:
    """The text of an SVG file; None: nobody has a figure to draw."""
    if scenario.axis:
        return _lines(scenario, results, note)
    metric = scenario.metrics[0]
    figures = values(metric, results)
    return _bars(scenario, metric, figures, {result.offer.name for result in results if result.offer.ours}, note)


def _bars(scenario: Scenario, metric: Metric, figures: dict[str, list[float]], ours: set[str], note: str) -> str | None:
    shown = {name: found for name, found in figures.items() if min(found) > 0}
    if not shown:
        return None
    order = sorted(shown, key=lambda name: median(shown[name]), reverse=metric.higher_is_better)
    scale = Log(
        min(min(found) for found in shown.values()) / 2, max(max(found) for found in shown.values()), LEFT, LEFT + PLOT
    )
    bottom = TOP + ROW * len(order)
    parts = _ticks_across(scale, bottom)
    for i, name in enumerate(order):
        found, y = shown[name], TOP + ROW * i
        middle = median(found)
        colour = OURS if name in ours else RIVAL
        parts += [
            _text(LEFT - 8, y + 16, name, anchor="end", weight="bold" if name in ours else "normal"),
            f'<rect x="{LEFT}" y="{y + 4}" width="{scale(middle) - LEFT:.1f}" height="{ROW - 8}" fill="{colour}"/>',
            f'<path d="M{scale(min(found)):.1f} {y + ROW / 2}H{scale(max(found)):.1f}" stroke="{INK}"/>',
            _text(scale(max(found)) + 6, y + 16, f"{middle:,.{metric.digits}f}"),
        ]
    better = "more" if metric.higher_is_better else "less"
    return _page(scenario.title, f"{metric.title}, {better} is better, logarithmic; {note}", parts, bottom + 36)


def _lines(scenario: Scenario, results: Sequence[Result], note: str) -> str | None:
    curves = {}
    for result in results:
        points = [
            (metric.x, median(found))
            for metric in scenario.metrics
            if metric.x is not None and (found := result.values(metric))
        ]
        if points:
            curves[result.offer.name] = points
    if not curves:
        return None
    bottom = TOP + 320
    xs = sorted({x for points in curves.values() for x, _ in points})
    ys = [y for points in curves.values() for _, y in points]
    across = Log(xs[0], xs[-1], LEFT - 130, LEFT + PLOT - 60)
    up = Log(min(ys) / 1.3, max(ys) * 1.1, bottom, TOP)
    parts = []
    for x in xs:
        parts += [
            f'<path d="M{across(x):.1f} {TOP}V{bottom}" stroke="{FAINT}"/>',
            _text(across(x), bottom + 18, _short(x), anchor="middle"),
        ]
    for tick in up.ticks():
        parts += [
            f'<path d="M{across(xs[0]):.1f} {up(tick):.1f}H{across(xs[-1]):.1f}" stroke="{FAINT}"/>',
            _text(across(xs[0]) - 8, up(tick) + 4, _short(tick), anchor="end"),
        ]
    label_y = -math.inf
    ours = [result.offer.name for result in results if result.offer.ours]
    colours = {name: OUR_LINES[i % len(OUR_LINES)] for i, name in enumerate(ours)}
    colours |= {name: LINES[i % len(LINES)] for i, name in enumerate(name for name in curves if name not in ours)}
    for name, points in sorted(curves.items(), key=lambda curve: up(curve[1][-1][1])):
        colour, width = colours[name], 3.5 if name in ours else 1.5
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in points)
        label_y = max(label_y + 15, up(points[-1][1]) + 4)
        parts += [
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
            *(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in points),
            _text(across(xs[-1]) + 10, label_y, name, fill=colour, weight="bold" if name in ours else "normal"),
        ]
    return _page(scenario.title, f"by {scenario.axis}, both scales logarithmic; {note}", parts, bottom + 36)


class Log:
    """Values from ``least`` to ``most`` on a stretch of pixels, logarithmically."""

    def __init__(self, least: float, most: float, start: float, end: float) -> None:
        self.least, self.most, self.start, self.end = least, max(most, least * 1.01), start, end

    def __call__(self, value: float) -> float:
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        steps = (1, 2, 5) if self.most / self.least < 1000 else (1,)
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        found = [step * 10.0**power for power in powers for step in steps]
        return [tick for tick in found if self.least <= tick <= self.most]


def _ticks_across(scale: Log, bottom: float) -> list[str]:
    parts = []
    for tick in scale.ticks():
        parts += [
            f'<path d="M{scale(tick):.1f} {TOP}V{bottom}" stroke="{FAINT}"/>',
            _text(scale(tick), bottom + 18, _short(tick), anchor="middle"),
        ]
    return parts


def _short(value: float) -> str:
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:g}{unit}"
    return f"{value:g}"


def _text(
    x: float, y: float, text: str, anchor: str = "start", weight: str = "normal", fill: str = INK, size: int = 13
) -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{fill}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _page(title: str, subtitle: str, parts: list[str], height: float) -> str:
    size = 15 if len(title) < 100 else 12
    head = [_text(12, 24, title, weight="bold", size=size), _text(12, 44, subtitle, size=12)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
            *head,
            *parts,
            "</svg>\n",
        ]
    )

"""Tables, for a terminal or for Markdown, and the JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from harness.duel import Result
from harness.scenario import Metric


def rows(results: Sequence[Result], baselines: Sequence[str]) -> list[list[str]]:
    """A header and a row for each contender: median (least..most) of each metric, and how many times better
    than each baseline it is by the first."""
    metrics = results[0].scenario.metrics
    against = [result for name in baselines for result in results if result.offer.name == name and result.rounds]
    main = next((metric for metric in metrics if metric.compared), None)
    header = ["", *(metric.title for metric in metrics)]
    if main is not None:
        header += [f"vs {base.offer.name}" for base in against]
    table = [header]
    for result in results:
        if result.error:
            table.append([result.offer.name, result.error, *[""] * (len(header) - 2)])
            continue
        row = [result.offer.name, *(_spread(result.values(metric), metric) for metric in metrics)]
        if main is not None:
            row += [_times(result.times_better_than(base, main)) for base in against]
        table.append(row)
    return table


def _spread(values: list[float], metric: Metric) -> str:
    low, middle, high = (f"{value:,.{metric.digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}..{high})"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def as_text(table: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def as_markdown(table: list[list[str]]) -> str:
    header, *body = (f"| {' | '.join(row)} |" for row in table)
    return "\n".join([header, f"|---|{'---:|' * (len(table[0]) - 1)}", *body])


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "scenario": result.scenario.name,
            "metrics": [asdict(metric) for metric in result.scenario.metrics],
            "contender": result.offer.name,
            "settings": result.offer.settings,
            "rounds": list(result.rounds.values()),
            "error": result.error,
        }
        for result in results
    ]

"""Tables, for a terminal or for Markdown, and the JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from harness.contender import Contender, Offer
from harness.duel import Result
from harness.scenario import Metric, Scenario

Table = list[list[str]]
ABSENT = "-"


def rows(results: Sequence[Result]) -> Table:
    """A header and a row for each contender: median (least..most) of each metric, and how many times better
    than each baseline it is by the first."""
    scenario = results[0].scenario
    metrics = scenario.metrics
    main = next((metric for metric in metrics if metric.compared), None)
    against = [
        result for name in scenario.baselines for result in results if result.offer.name == name and result.rounds
    ]
    if main is None or scenario.axis:
        against = []
    header = ["", *(metric.title for metric in metrics), *(f"vs {base.offer.name}" for base in against)]
    table = [header]
    for result in results:
        if result.error:
            table.append([result.offer.name, result.error, *[""] * (len(header) - 2)])
            continue
        row = [result.offer.name, *(spread(result.values(metric), metric.digits) for metric in metrics)]
        row += [times(result.times_better_than(base, main)) for base in against if main is not None]
        table.append(row)
    return table


def spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return ABSENT
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}..{high})"


def times(ratio: float | None) -> str:
    return ABSENT if ratio is None else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def about_offers(offers: Sequence[Offer]) -> Table:
    table = [["contender", "version", "settings"]]
    return table + [[offer.name, offer.version, offer.settings] for offer in offers]


def as_text(table: Table) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        # A message instead of figures, and a text as the last column, may be as long as they are.
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def as_markdown(table: Table, numbers: bool = True) -> str:
    header, *body = (f"| {' | '.join(row)} |" for row in table)
    return "\n".join([header, f"|---|{('---:|' if numbers else '---|') * (len(table[0]) - 1)}", *body])


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "scenario": result.scenario.name,
            "title": result.scenario.title,
            "metrics": [asdict(metric) for metric in result.scenario.metrics],
            "contender": result.offer.name,
            "version": result.offer.version,
            "settings": result.offer.settings,
            "rounds": list(result.rounds.values()),
            "error": result.error,
            "seconds": [round(seconds, 2) for seconds in result.seconds],
        }
        for result in results
    ]


def from_json(
    documents: Sequence[dict[str, Any]], scenarios: Sequence[Scenario], offers: Sequence[Offer]
) -> list[Result]:
    """The results of saved runs; what a later one has again is taken from it. KeyError: an unknown scenario."""
    by_name, known = {one.name: one for one in scenarios}, {one.name: one for one in offers}
    results: dict[tuple[str, str], Result] = {}
    for document in documents:
        for saved in document["results"]:
            name = saved["contender"]
            offer = known.get(name) or Offer(name, Contender, frozenset(), ours=name.startswith("catzilla "))
            offer = replace(offer, version=saved["version"], settings=saved["settings"], absent="")
            rounds = dict(enumerate(saved["rounds"]))
            results[saved["scenario"], name] = Result(
                by_name[saved["scenario"]], offer, rounds, saved["error"], saved.get("seconds", [])
            )
    return sorted(results.values(), key=lambda result: result.scenario.rank)


def values(metric: Metric, results: Sequence[Result]) -> dict[str, list[float]]:
    """The figures of one metric by contender, of those that have it."""
    return {result.offer.name: found for result in results if (found := result.values(metric))}

"""Puts the figures of saved runs into README.md and docs/: no figure there is written by hand.

    python benchmarks/background_task_benchmarks.py --targets --json docs/figures/run.json
    python benchmarks/background_task_benchmarks.py --study --rounds 1 --size 10000000 --json docs/figures/study.json
    python benchmarks/update_docs.py

It replaces what stands between ``<!-- figures: WHAT -->`` and ``<!-- end of figures -->``, and draws docs/charts.
WHAT is one of:

    about RUN            the machine, the load, the command; RUN is the name of a file of docs/figures, such as run
    contenders RUN       who was measured, with versions and settings; who was absent
    seconds RUN          how long each scenario took
    targets              each target, what was measured of it and whether it was met
    promises             the same of what the project promises, with where reality differs
    overview             a row for each promise, a column for each of the contenders that everybody knows
    table SCENARIO       the table of a scenario
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from harness import charts, promises, report, targets
from harness.discover import all_offers, all_scenarios
from harness.duel import Result

ROOT = Path(__file__).parents[1]
FIGURES, CHARTS = ROOT / "docs" / "figures", ROOT / "docs" / "charts"
PAGES = (ROOT / "README.md", ROOT / "docs" / "performance.md")
DRAWN = ("noop", "noop-workers", "latency", "memory", "scale-tasks", "scale-workers", "scale-producers")
BLOCK = re.compile(r"(<!-- figures: (?P<what>[^>]*?) -->\n)(?P<text>.*?)(<!-- end of figures -->)", re.DOTALL)
COLUMNS = {
    "C": targets.C,
    "C++": targets.CPP,
    "Python": targets.PYTHON,
    "ThreadPoolExecutor": targets.THREADS,
    "ProcessPoolExecutor": "ProcessPoolExecutor",
    "asyncio `create_task`": "asyncio create_task",
}
OVERVIEW = (
    ("simple tasks/s", "noop", "per_s"),
    ("20 us CPU tasks/s, Python", "cpu", "per_s"),
    ("the same compiled, tasks/s", "cpu-compiled", "w2_per_s"),
    ("idle, submit to value, p50 us", "latency", "p50_us"),
    ("bytes per pending task", "memory", "bytes"),
    ("% of RSS above before, 2 s after a million tasks", "after-drain", "percent"),
    ("growth per task over 200,000 tasks, bytes", "leak", "bytes"),
    ("fragmentation of the engine's arenas, %", "fragmentation", "percent"),
)


class FiguresError(Exception):
    """Something that a page asks for is not in the saved runs; the text says what."""


class Pages:
    def __init__(self, runs: dict[str, dict[str, Any]]) -> None:
        self._runs = runs
        self.results = report.from_json(list(runs.values()), all_scenarios(), all_offers())
        self._verdicts = targets.judge(self.results)

    def filled(self, text: str) -> str:
        return BLOCK.sub(lambda found: f"{found[1]}{self._block(found['what'])}\n{found[4]}", text)

    def _block(self, what: str) -> str:
        kind, _, of = what.partition(" ")
        of_one: dict[str, Callable[[str], str]] = {
            "about": self._about,
            "contenders": self._contenders,
            "seconds": self._seconds,
            "table": self._table,
        }
        of_all: dict[str, Callable[[], str]] = {
            "targets": lambda: report.as_markdown(targets.rows(self._verdicts), numbers=False),
            "promises": lambda: report.as_markdown(promises.rows(self.results, self._verdicts), numbers=False),
            "overview": self._overview,
        }
        if of and kind in of_one:
            return of_one[kind](of)
        if not of and kind in of_all:
            return of_all[kind]()
        allowed = ", ".join([*(f"{one} NAME" for one in of_one), *of_all])
        raise FiguresError(f"`figures: {what}` is not known; allowed are {allowed}")

    def _run(self, name: str) -> dict[str, Any]:
        if name not in self._runs:
            raise FiguresError(f"there is no run {name}: there are {', '.join(self._runs)}")
        if "seconds" not in self._runs[name]:
            raise FiguresError(f"{name}.json is of an older form of the benchmark: measure again")
        return self._runs[name]

    def _about(self, name: str) -> str:
        about = self._run(name)["about"]
        return "\n".join(f"- {key}: {f'`{value}`' if key == 'command' else value}" for key, value in about.items())

    def _contenders(self, name: str) -> str:
        run = self._run(name)
        found = {one["contender"]: [one["contender"], one["version"], one["settings"]] for one in run["results"]}
        table = [["contender", "version", "settings"], *found.values()]
        absent = "; ".join(f"{who} ({why})" for who, why in run["absent"].items()) or "nobody"
        return f"{report.as_markdown(table, numbers=False)}\n\nAbsent: {absent}."

    def _seconds(self, name: str) -> str:
        seconds = self._run(name)["seconds"]
        return report.as_markdown([["scenario", "seconds"], *([one, f"{took:.0f}"] for one, took in seconds.items())])

    def _overview(self) -> str:
        at = promises.Figures(self.results)
        table = [["", *COLUMNS]]
        for title, scenario, metric in OVERVIEW:
            cells = [at(scenario, contender, metric) for contender in COLUMNS.values()]
            table.append([f"{title} (`{scenario}`)", *("-" if cell == "not measured" else cell for cell in cells)])
        return report.as_markdown(table)

    def _table(self, name: str) -> str:
        found = self._of(name)
        if not found:
            raise FiguresError(f"no saved run has the scenario {name}: measure it with --scenario {name} --json FILE")
        table = report.as_markdown(report.rows(found))
        return f"{found[0].scenario.title} (`--scenario {name}`):\n\n{table}"

    def _of(self, name: str) -> list[Result]:
        return [result for result in self.results if result.scenario.name == name]

    def drawings(self) -> dict[str, str]:
        """Of the scenarios whose charts the pages show, by name."""
        about = next(iter(self._runs.values()))["about"]
        note = f"{about['cpu']}, {about['python'].split(',')[0]}"
        drawn = {name: charts.draw(found[0].scenario, found, note) for name in DRAWN if (found := self._of(name))}
        return {name: drawing for name, drawing in drawn.items() if drawing}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="FOLDER", help="where the saved runs are")
    parser.add_argument("--charts", type=Path, default=CHARTS, metavar="FOLDER")
    parser.add_argument("--pages", type=Path, nargs="+", default=PAGES, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1: a page has other figures")
    arguments = parser.parse_args(argv)
    files = sorted(arguments.figures.glob("*.json"))
    if not files:
        parser.error(f"no saved run in {arguments.figures}: see --help for how to make one")
    try:
        pages = Pages({file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files})
        wanted = {page: pages.filled(page.read_text(encoding="utf-8")) for page in arguments.pages}
    except FiguresError as error:
        print(error, file=sys.stderr)
        return 2
    wanted |= {arguments.charts / f"{name}.svg": drawing for name, drawing in pages.drawings().items()}
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if arguments.check:
        for file in stale:
            print(f"{file} has other figures than {arguments.figures}: run python benchmarks/update_docs.py")
        return int(bool(stale))
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted[file], encoding="utf-8")
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Catzilla's backends against other ways to run tasks: one command, one run, one table for each scenario.

    python benchmarks/background_task_benchmarks.py
    python benchmarks/background_task_benchmarks.py --quick                    under two minutes
    python benchmarks/background_task_benchmarks.py --scenario noop cpu --backend python --markdown

Each figure is measured in a fresh process; the contenders take turns, so that a machine that drifts
drifts for all of them. A table shows the median of the rounds, (least..most), and "vs": how many times
better than that contender, by the first figure, as the median of the ratios within each round.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from harness import machine, report
from harness.discover import all_offers, all_scenarios
from harness.duel import duel

BASELINES = ("ThreadPoolExecutor", "SimpleQueue + lock")


def main() -> int:
    scenarios, offers = all_scenarios(), all_offers()
    arguments = _arguments([one.name for one in scenarios], [one.name for one in offers])
    rounds = arguments.rounds or (3 if arguments.quick else 5)

    chosen = [one for one in offers if _wanted(one.name, one.ours, arguments)]
    present = [one for one in chosen if not one.absent]
    settings = {
        "rounds": str(rounds),
        "workers": str(arguments.workers),
        "form": "quick" if arguments.quick else "full",
    }
    about = machine.describe() | settings
    print("\n".join(f"{key}: {value}" for key, value in about.items()))
    for one in chosen:
        if one.absent or one.settings:
            print(f"{one.name}: {'absent: ' + one.absent if one.absent else one.settings}")

    start, collected, failed = time.monotonic(), [], False
    for scenario in scenarios:
        if arguments.scenario and scenario.name not in arguments.scenario:
            continue
        results = duel(
            scenario, present, rounds=rounds, workers=arguments.workers, quick=arguments.quick, progress=_progress
        )
        _progress("")
        table = report.rows(results, BASELINES)
        if arguments.markdown:
            print(f"\n**{scenario.title}**\n\n{report.as_markdown(table)}", flush=True)
        else:
            print(f"\n{scenario.title}\n\n{report.as_text(table)}", flush=True)
        collected += report.as_json(results)
        failed |= any(result.error and result.offer.ours for result in results)
    print(f"\nTook {time.monotonic() - start:.0f} s.")
    if arguments.json:
        arguments.json.write_text(json.dumps({"about": about, "results": collected}, indent=1))
    return int(failed)


def _arguments(scenarios: list[str], contenders: list[str]) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter measurements, fewer rounds")
    parser.add_argument("--scenario", nargs="+", choices=scenarios, help="only these")
    parser.add_argument("--backend", nargs="+", metavar="NAME", help="only these backends of ours")
    parser.add_argument("--rival", nargs="+", choices=contenders, metavar="NAME", help=f"only these of {contenders}")
    parser.add_argument("--rounds", type=int, help="measurements of each contender (3 quick, 5 full)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser.parse_args()


def _wanted(name: str, ours: bool, arguments: Any) -> bool:
    if ours:
        return not arguments.backend or name.split()[-1] in arguments.backend
    return not arguments.rival or name in arguments.rival


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Catzilla's backends against other ways to run tasks: one command, one run, one table for each scenario.

    python benchmarks/background_task_benchmarks.py
    python benchmarks/background_task_benchmarks.py --quick                    under two minutes
    python benchmarks/background_task_benchmarks.py --scenario noop cpu --backend python --markdown
    python benchmarks/background_task_benchmarks.py --targets --json run.json --charts charts
    python benchmarks/background_task_benchmarks.py --study                    the scaling study

Each figure is measured in a fresh process; the contenders take turns, so that a machine that drifts
drifts for all of them. A table shows the median of the rounds, (least..most), and "vs": how many times
better than that contender, by the first figure that can be compared, as the median of the ratios within
each round. Rivals that are not installed are named with what installs them; one that fails or hangs has
that in its row and stops nobody else.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # also where Python does not do it (PYTHONSAFEPATH)

from harness import charts, machine, report, targets, terminal
from harness.contender import Offer
from harness.discover import all_offers, all_scenarios
from harness.duel import Result, duel
from harness.scenario import Scenario, Trial


def main(argv: Sequence[str] | None = None) -> int:
    scenarios, offers = all_scenarios(), all_offers()
    backends = sorted({one.name.split()[1] for one in offers if one.ours})
    arguments = _arguments(argv, [one.name for one in scenarios], [one.name for one in offers], backends)
    start = time.monotonic()

    if arguments.read:
        documents = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.read]
        about, results = documents[-1]["about"], report.from_json(documents, scenarios, offers)
        offers = list({result.offer.name: result.offer for result in results}.values())
        _describe(about, offers)
        for _, found in _by_scenario(results):
            terminal.show(found[0].scenario.title, report.rows(found))
    else:
        about, offers, results = _measure(scenarios, offers, arguments, argv or sys.argv[1:])
    verdicts = targets.judge(results)
    if arguments.targets:
        terminal.show("Targets", targets.rows(verdicts))
    if not arguments.read:
        about["took"] = f"{time.monotonic() - start:.0f} s"
    print(f"\nTook {about['took']}.")
    _write(arguments, about, offers, results, verdicts)
    return int(any(result.error and result.offer.ours for result in results))


def _measure(
    scenarios: list[Scenario], offers: list[Offer], arguments: Any, argv: Sequence[str]
) -> tuple[dict[str, str], list[Offer], list[Result]]:
    chosen = [one for one in scenarios if _wanted_scenario(one, arguments)]
    needed = {one.needs for one in chosen}
    offers = [_prepared(one, arguments) for one in offers if one.can & needed and _wanted_offer(one, arguments)]
    about = machine.describe() | {
        "form": f"{'quick' if arguments.quick else 'full'}, {arguments.workers} workers unless said, "
        f"at most {arguments.size:,} tasks in a burst",
        "command": " ".join(["python", "benchmarks/background_task_benchmarks.py", *argv]),
    }
    _describe(about, offers)

    plan = [(scenario, _trials(scenario, offers, arguments), _rounds(scenario, arguments)) for scenario in chosen]
    results: list[Result] = []
    with terminal.progress(sum(len(trials) * rounds for _, trials, rounds in plan)) as step:
        for scenario, trials, rounds in plan:
            if not trials:
                print(f"\n{scenario.title}\n\nNobody who takes part in it is here.")
                continue
            begun = time.monotonic()
            found = duel(scenario, trials, rounds=rounds, progress=step)
            results += found
            seconds = time.monotonic() - begun
            terminal.show(f"{scenario.title}\n[{scenario.name}, {seconds:.0f} s]", report.rows(found))
    return about, offers, results


def _arguments(argv: Sequence[str] | None, scenarios: list[str], contenders: list[str], backends: list[str]) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of short measurements, no brokers")
    parser.add_argument("--study", action="store_true", help="the scaling study instead of the comparison")
    parser.add_argument(
        "--scenario", nargs="+", action="extend", choices=scenarios, metavar="NAME", help=f"only these of {scenarios}"
    )
    parser.add_argument(
        "--backend",
        nargs="+",
        action="extend",
        choices=backends,
        metavar="NAME",
        help=f"of ours, only these of {backends}",
    )
    parser.add_argument(
        "--rival", nargs="*", action="extend", choices=contenders, metavar="NAME", help=f"only these of {contenders}"
    )
    parser.add_argument("--tasks", choices=("python", "compiled", "both"), default="both", help="what the tasks are")
    parser.add_argument("--rounds", type=_positive, help="measurements of each contender (3 or 5, quick: 1)")
    parser.add_argument("--workers", type=_positive, default=2)
    parser.add_argument("--size", type=_positive, default=1_000_000, metavar="N", help="most tasks in one burst")
    parser.add_argument("--targets", action="store_true", help="a line for each target: met or missed")
    parser.add_argument(
        "--read", nargs="+", type=Path, metavar="FILE", help="show these saved runs (--json) instead of measuring"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there")
    parser.add_argument(
        "--markdown", nargs="?", const="-", metavar="FILE", help="write the tables there (-: print them) as Markdown"
    )
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="write an SVG chart of each scenario there")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not allowed: from 1")
    return value


def _wanted_scenario(scenario: Scenario, arguments: Any) -> bool:
    if arguments.scenario:
        return scenario.name in arguments.scenario
    kind = "compiled" if scenario.compiled else "python"
    return scenario.study == arguments.study and arguments.tasks in (kind, "both")


def _wanted_offer(offer: Offer, arguments: Any) -> bool:
    if offer.ours:
        return not arguments.backend or offer.name.split()[1] in arguments.backend
    return arguments.rival is None or offer.name in arguments.rival


def _prepared(offer: Offer, arguments: Any) -> Offer:
    if offer.absent:
        return offer
    if offer.slow and arguments.quick:
        return replace(offer, absent="left out of a quick run")
    return replace(offer, absent=offer.prepare())


def _trials(scenario: Scenario, offers: list[Offer], arguments: Any) -> list[Trial]:
    return [
        Trial(offer, arguments.workers, arguments.quick, arguments.size)
        for offer in offers
        if scenario.needs in offer.can and not offer.absent
    ]


def _rounds(scenario: Scenario, arguments: Any) -> int:
    return arguments.rounds or (1 if arguments.quick else scenario.rounds)


def _describe(about: dict[str, str], offers: list[Offer]) -> None:
    print("\n".join(f"{key}: {value}" for key, value in about.items()))
    print()
    for offer in offers:
        if offer.absent:
            print(f"{offer.name}: absent: {offer.absent}")
        else:
            print(f"{' '.join([offer.name, offer.version]).strip()}: {offer.settings}")


def _write(
    arguments: Any, about: dict[str, str], offers: list[Offer], results: list[Result], verdicts: list[targets.Verdict]
) -> None:
    tables = _by_scenario(results)
    if arguments.json:
        document = {
            "about": about,
            "absent": {offer.name: offer.absent for offer in offers if offer.absent},
            "seconds": {scenario.name: round(sum(sum(one.seconds) for one in found), 1) for scenario, found in tables},
            "results": report.as_json(results),
            "targets": targets.as_json(verdicts),
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if arguments.charts:
        arguments.charts.mkdir(parents=True, exist_ok=True)
        for scenario, found in tables:
            drawing = charts.draw(scenario, found, note=f"{about['cpu']}, {about['python'].split(',')[0]}")
            if drawing is not None:
                (arguments.charts / f"{scenario.name}.svg").write_text(drawing, encoding="utf-8")
    if arguments.markdown == "-":
        _markdown(arguments, about, offers, tables, verdicts)
    elif arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as file, redirect_stdout(file):
            _markdown(arguments, about, offers, tables, verdicts)


def _by_scenario(results: list[Result]) -> list[tuple[Scenario, list[Result]]]:
    scenarios = list({result.scenario.name: result.scenario for result in results}.values())
    return [(one, [result for result in results if result.scenario is one]) for one in scenarios]


def _markdown(
    arguments: Any, about: dict[str, str], offers: list[Offer], tables: Any, verdicts: list[targets.Verdict]
) -> None:
    for key, value in about.items():
        print(f"- {key}: {f'`{value}`' if key == 'command' else value}")
    print(f"\n{report.as_markdown(report.about_offers([one for one in offers if not one.absent]), numbers=False)}")
    absent = [f"{offer.name} ({offer.absent})" for offer in offers if offer.absent]
    print(f"\nAbsent: {'; '.join(absent) or 'nobody'}.")
    for scenario, found in tables:
        print(f"\n**{scenario.title}** (`--scenario {scenario.name}`)\n\n{report.as_markdown(report.rows(found))}")
    if arguments.targets:
        print(f"\n**Targets**\n\n{report.as_markdown(targets.rows(verdicts), numbers=False)}")


if __name__ == "__main__":
    sys.exit(main())

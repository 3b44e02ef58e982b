"""Measures every contender in turn, again and again: a machine that drifts drifts for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from harness.contender import Offer
from harness.scenario import Metric, Scenario

CHILD = Path(__file__).with_name("child.py")
CHILD_TIMEOUT_S = 120


@dataclass
class Result:
    """What one contender reached in one scenario: a row of figures for each round that succeeded."""

    scenario: Scenario
    offer: Offer
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    error: str = ""

    def values(self, metric: Metric) -> list[float]:
        return [figures[metric.key] for figures in self.rounds.values()]

    def times_better_than(self, other: Result, metric: Metric) -> float | None:
        """Median of the ratios of the rounds that both have; above 1: this one is better."""
        ratios = [
            ours / theirs if metric.higher_is_better else theirs / ours
            for number, figures in self.rounds.items()
            if number in other.rounds and (ours := figures[metric.key]) and (theirs := other.rounds[number][metric.key])
        ]
        return median(ratios) if ratios else None


def duel(
    scenario: Scenario,
    offers: Sequence[Offer],
    *,
    rounds: int,
    workers: int,
    quick: bool,
    progress: Callable[[str], None],
) -> list[Result]:
    results = [Result(scenario, offer) for offer in offers]
    for number in range(rounds):
        for result in results:
            if result.error:
                continue
            progress(f"{scenario.name}: {result.offer.name}, round {number + 1} of {rounds}")
            try:
                result.rounds[number] = _measure(scenario, result.offer, workers, quick)
            except subprocess.TimeoutExpired:
                result.error = f"no result within {CHILD_TIMEOUT_S} s"
            except subprocess.CalledProcessError as error:
                last_lines = error.stderr.strip().splitlines()[-1:]
                result.error = f"failed: {''.join(last_lines) or f'exit code {error.returncode}'}"
    return results


def _measure(scenario: Scenario, offer: Offer, workers: int, quick: bool) -> dict[str, float]:
    command = [sys.executable, str(CHILD), scenario.name, offer.name, "--workers", str(workers)]
    child = subprocess.run(
        command + ["--quick"] * quick, capture_output=True, text=True, check=True, timeout=CHILD_TIMEOUT_S
    )
    figures: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return figures

"""Measures every contender in turn, again and again: a machine that drifts drifts for all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic

from harness.contender import Offer
from harness.scenario import Metric, Scenario, Trial

CHILD = Path(__file__).with_name("child.py")


@dataclass
class Result:
    """What one contender reached in one scenario: a row of figures for each round that succeeded."""

    scenario: Scenario
    offer: Offer
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    error: str = ""
    seconds: list[float] = field(default_factory=list)
    """How long each measurement took, with its process; also those that failed."""

    def values(self, metric: Metric) -> list[float]:
        """Of the rounds that have it; empty: the contender does not have this figure."""
        return [figures[metric.key] for figures in self.rounds.values() if metric.key in figures]

    def times_better_than(self, other: Result, metric: Metric) -> float | None:
        """Median of ``ratios``; None: there is none."""
        ratios = self.ratios(other, metric)
        return median(ratios) if ratios else None

    def ratios(self, other: Result, metric: Metric) -> list[float]:
        """Of the rounds that both have; above 1: this one is better."""
        return [
            ours / theirs if metric.higher_is_better else theirs / ours
            for number, figures in self.rounds.items()
            if number in other.rounds
            and (ours := figures.get(metric.key))
            and (theirs := other.rounds[number].get(metric.key))
        ]


def duel(
    scenario: Scenario, trials: Sequence[Trial], *, rounds: int, progress: Callable[[str], None] = lambda text: None
) -> list[Result]:
    """``progress`` is told of each measurement before it begins."""
    results = [Result(scenario, trial.offer) for trial in trials]
    for number in range(rounds):
        for trial, result in zip(trials, results, strict=True):
            progress(f"{scenario.name}: {result.offer.name}, round {number + 1} of {rounds}")
            if not result.error and not (result.offer.slow and number):
                begun = monotonic()
                try:
                    result.rounds[number] = measure(scenario, trial)
                except MeasureError as error:
                    result.error = str(error)
                result.seconds.append(monotonic() - begun)
    return results


class MeasureError(Exception):
    """A contender failed, or had no result in time; the text stands in its row of the table."""


def measure(scenario: Scenario, trial: Trial) -> dict[str, float]:
    command = [trial.offer.python or sys.executable, str(CHILD), scenario.name, trial.offer.name]
    command += ["--workers", str(trial.workers), "--most", str(trial.most), *["--quick"] * trial.quick]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | trial.offer.environ,
        start_new_session=True,  # what the contender starts can be ended with it
    ) as child:
        try:
            stdout, stderr = child.communicate(timeout=scenario.timeout_s)
        except subprocess.TimeoutExpired:
            raise MeasureError(f"no result within {scenario.timeout_s} s") from None
        finally:
            _end_group(child.pid)
    if child.returncode:
        last = next(iter(stderr.strip().splitlines()[-1:]), f"exit code {child.returncode}")
        raise MeasureError(f"failed: {last[:160]}")
    figures: dict[str, float] = json.loads(stdout.splitlines()[-1])
    return figures


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:  # nothing is left of it
        pass

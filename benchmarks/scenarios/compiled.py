"""Compiled tasks, beside pools of other languages that do the same work."""

from __future__ import annotations

from functools import partial
from typing import Any

from harness.contender import KERNELS, Contender
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import TASK_S, serial, spin, turns_for

LONGEST_BUFFER = 10_000_000  # integers: three buffers of 80 MB
BASELINES = ("Go, buffered channel", "Rust, std mpsc", "oneTBB task_group")


def small(trial: Trial) -> dict[str, float]:
    figures = {}
    with trial.open(**_compiling(trial)) as contender:
        for form in ("one", "list"):
            if contender.compiled("price", form, 1000) is not None:
                figures[f"{form}_per_s"] = trial.rate(_burst(contender, "price", form))
        figures |= _native_share(contender)
        if contender.compiled("price", "buffer", 1000) is not None:
            figures["buffer_per_s"] = trial.rate(_burst(contender, "price", "buffer"), most=LONGEST_BUFFER)
        return figures


def computing(trial: Trial) -> dict[str, float]:
    turns = turns_for(TASK_S)
    python_per_s = trial.rate(partial(serial, partial(spin, turns)))
    figures: dict[str, float] = {}
    for workers in (1, 2):
        with trial.open(workers, **_compiling(trial)) as contender:
            contender.compiled("spin", "one", 100, turns)
            figures[f"w{workers}_per_s"] = trial.rate(_burst(contender, "spin", "one", turns))
            figures |= _native_share(contender)
    return figures | {
        "speedup": figures["w2_per_s"] / figures["w1_per_s"],
        "vs_python": figures["w2_per_s"] / python_per_s,
    }


def _burst(contender: Contender, kernel: str, form: str, turns: int = 0) -> Any:
    return lambda n: contender.compiled(kernel, form, n, turns)


def _compiling(trial: Trial) -> dict[str, bool]:
    return {"enable_c_compilation": True} if trial.offer.ours else {}


def _native_share(contender: Any) -> dict[str, float]:
    share = getattr(contender, "native_share", None)
    return {"native": 100 * share()} if share else {}


NATIVE = Metric("native", "% run as C", compared=False)
SCENARIOS = (
    Scenario(
        21,
        "kernels",
        "Compiled tasks that multiply and add two ints: one by one with results kept, list to list, buffers to buffer",
        (
            Metric("one_per_s", "one by one/s", higher_is_better=True),
            Metric("list_per_s", "list/s", higher_is_better=True),
            Metric("buffer_per_s", "buffer/s", higher_is_better=True),
            NATIVE,
        ),
        small,
        KERNELS,
        compiled=True,
        baselines=BASELINES,
    ),
    Scenario(
        22,
        "cpu-compiled",
        "The 20 us of Python compiled, one by one with results kept, on one worker and on two",
        (
            Metric("w2_per_s", "tasks/s, 2 workers", higher_is_better=True),
            Metric("w1_per_s", "tasks/s, 1 worker", higher_is_better=True),
            Metric("speedup", "2 against 1", digits=2, higher_is_better=True, compared=False),
            Metric("vs_python", "times a plain Python loop", digits=1, higher_is_better=True, compared=False),
            NATIVE,
        ),
        computing,
        KERNELS,
        compiled=True,
        baselines=BASELINES,
    ),
)

"""What it costs that functions are compiled: for who decorates them, and for the thread that builds them."""

from __future__ import annotations

import gc
import linecache
import os
import tempfile
from statistics import median
from time import perf_counter
from typing import Any

from harness.contender import OURS
from harness.scenario import Metric, Scenario, Trial

DECORATED = 50
SOURCE = """\
def f{n}(values: list[float], least: float) -> dict[str, float]:
    total, count = 0.0, 0
    for value in values:
        if value >= least + {n}:
            total += value
            count += 1
    return {{"total": total, "mean": total / count if count else 0.0}}
"""


def run(trial: Trial) -> dict[str, float]:
    before = os.environ.get("CATZILLA_CACHE_DIR")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CATZILLA_CACHE_DIR"] = cache
        try:
            # In this order: what is submitted is built by a thread that would be beside what is measured here.
            return _building(3 if trial.quick else 7) | _decorating(trial)
        finally:
            if before is None:
                del os.environ["CATZILLA_CACHE_DIR"]
            else:
                os.environ["CATZILLA_CACHE_DIR"] = before


def _decorating(trial: Trial) -> dict[str, float]:
    """The decorator's call, and the first submit, which makes the plan and asks for the kernel."""
    with trial.open(1, enable_c_compilation=True) as contender:
        system: Any = contender.system  # type: ignore[attr-defined]
        system.add_task(_function(DECORATED), [1.0], 0.5).wait()  # its threads are there
        functions = [_function(n) for n in range(DECORATED)]
        decorating, submitting = [], []
        for fn in functions:
            start = perf_counter()
            task = system.task(fn)
            decorating.append(perf_counter() - start)
        for fn in functions[:5]:  # each is built, behind the last figure
            start = perf_counter()
            result = system.add_task(fn, [1.0], 0.5)
            submitting.append(perf_counter() - start)
            result.wait()
        task.explain()
    return {"decorate_ms": 1e3 * median(decorating), "submit_ms": 1e3 * median(submitting)}


def _building(times: int) -> dict[str, float]:
    """From the function to its loaded kernel, with the system's compiler."""
    from catzilla.compiler.kernel import build
    from catzilla.compiler.queue import expected_types
    from catzilla.compiler.toolchain import toolchains

    cc = next((found for found in toolchains() if found.name == "cc"), None)
    if cc is None:
        return {}
    cold, cached = [], []
    for n in range(1000, 1000 + times):
        fn = _function(n)
        types = expected_types(fn)
        assert types is not None
        for taken in (cold, cached):
            start = perf_counter()
            kernel = build(fn, types, cc)
            taken.append(perf_counter() - start)
            del kernel
            gc.collect()  # unloads it: the next one is read from the file
    return {"cold_ms": 1e3 * median(cold), "cached_ms": 1e3 * median(cached)}


def _function(n: int) -> Any:
    """One that nobody has compiled, with source that can be read as that of a file."""
    name, source = f"<function {n}>", SOURCE.format(n=n)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(source, name, "exec"), space)
    return next(value for value in space.values() if getattr(value, "__module__", None) == __name__)


SCENARIOS = (
    Scenario(
        23,
        "compiling",
        "What compiling costs: to decorate a function, to submit it first, to build it with the system's compiler, "
        "and to load it from the cache",
        (
            Metric("decorate_ms", "decorate/ms", digits=3, compared=False),
            Metric("submit_ms", "first submit/ms", digits=3, compared=False),
            Metric("cold_ms", "build/ms", digits=1, compared=False),
            Metric("cached_ms", "from cache/ms", digits=2, compared=False),
        ),
        run,
        OURS,
        rounds=2,
    ),
)

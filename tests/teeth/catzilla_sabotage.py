"""The reference backend with one thing wrong at a time.

Each saboteur changes what ``Queue.put`` does (the submitter is replaced by one that calls it), or one
other method, by means of the waist alone: so they say nothing of how the reference does it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from time import monotonic_ns
from typing import Any

from catzilla.backends.python import BACKEND
from catzilla.interface import TIMED_OUT, EngineConfig

Put = Callable[..., Any]


class Sabotaged:
    """A backend made of the reference and one saboteur."""

    features = BACKEND.features
    handle_type = BACKEND.handle_type

    def __init__(self, name: str, sabotage: Callable[[Any], None]) -> None:
        self.name = name
        self.sabotage = sabotage

    def open(self, config: EngineConfig) -> Any:
        engine: Any = BACKEND.open(config)
        self.sabotage(engine)
        engine.queue.submitter = lambda plans, fallback: submitter(engine, plans, fallback)
        return engine


def submitter(engine: Any, plans: dict[Any, Any], fallback: Callable[..., Any]) -> Callable[..., Any]:
    def add_task(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            plan = None if kwargs or engine.queue.closed else plans.get(fn)
        except TypeError:
            plan = None
        if plan is not None and plan.arity is not None and plan.arity[0] <= len(args) <= plan.arity[1]:
            context = copy_context()
            handle = engine.queue.put(plan, args, engine.config.make_ext(context, None) if context else None)
            if handle is not None:
                return handle
        return fallback(fn, *args, **kwargs)

    return add_task


def on_put(engine: Any, change: Callable[[Put, int, Any, tuple[Any, ...], Any], Any]) -> None:
    """Replace put of tasks that are ready at once by ``change(put, number, plan, args, ext)``."""
    put, numbers = engine.queue.put, count(1)

    def changed(plan: Any, args: tuple[Any, ...], ext: Any, due_ns: int = 0, force: bool = False) -> Any:
        if due_ns or force:
            return put(plan, args, ext, due_ns, force)
        return change(put, next(numbers), plan, args, ext)

    engine.queue.put = changed


def honest(engine: Any) -> None:
    on_put(engine, lambda put, number, plan, args, ext: put(plan, args, ext))


def drops(engine: Any) -> None:
    """One task in 10,000 is accepted and never seen again."""

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        return put(plan, args, ext) if number % 10_000 else engine.queue.promise(plan, ext)

    on_put(engine, change)


def duplicates(engine: Any) -> None:
    """One task in 10,000 is run twice."""

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        if number % 10_000 == 0:
            put(plan, args, ext)
        return put(plan, args, ext)

    on_put(engine, change)


def breaks_fifo(engine: Any) -> None:
    """One task in 100 is overtaken by those that come in the next two milliseconds."""

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        if number % 100:
            return put(plan, args, ext)
        late = engine.queue.promise(plan, ext)
        timer = threading.Timer(0.002, engine.queue.requeue, (late, args, 0))
        timer.daemon = True
        timer.start()
        return late

    on_put(engine, change)


def loses_wake_up(engine: Any) -> None:
    """One task in 500 wakes nobody: it is found when the next one comes."""
    unseen: list[tuple[Any, tuple[Any, ...]]] = []

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        while unseen:
            engine.queue.requeue(*unseen.pop(), 0)
        if number % 500:
            return put(plan, args, ext)
        silent = engine.queue.promise(plan, ext)
        unseen.append((silent, args))
        return silent

    on_put(engine, change)


def ignores_deadlines(engine: Any) -> None:
    """A task that runs is never ended because its time is over."""
    cls = engine.handle_type
    settle = cls.settle

    def ignoring(handle: Any, state: int, value: object) -> bool:
        return False if state == TIMED_OUT else bool(settle(handle, state, value))

    cls.settle = ignoring


def leaks_results(engine: Any) -> None:
    """Handles, and what they hold, are kept for ever."""
    kept: list[Any] = []

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        handle = put(plan, args, ext)
        kept.append(handle)
        return handle

    on_put(engine, change)


def miscounts(engine: Any) -> None:
    """One completed task in 1,000 is not counted."""
    counters = engine.metrics.counters

    def wrong() -> dict[str, int]:
        counted: dict[str, int] = counters()
        counted["completed"] -= counted["completed"] // 1_000
        return counted

    engine.metrics.counters = wrong


def starves_low(engine: Any) -> None:
    """A LOW task is never overdue."""

    def change(put: Put, number: int, plan: Any, args: tuple[Any, ...], ext: Any) -> Any:
        handle = put(plan, args, ext)
        if handle is not None and plan.lane == 3:
            handle.ready_ns = monotonic_ns() + 10**18
        return handle

    on_put(engine, change)


HONEST = Sabotaged("honest", honest)
DROPS = Sabotaged("drops", drops)
DUPLICATES = Sabotaged("duplicates", duplicates)
BREAKS_FIFO = Sabotaged("breaks-fifo", breaks_fifo)
LOSES_WAKE_UP = Sabotaged("loses-wake-up", loses_wake_up)
IGNORES_DEADLINES = Sabotaged("ignores-deadlines", ignores_deadlines)
LEAKS_RESULTS = Sabotaged("leaks-results", leaks_results)
MISCOUNTS = Sabotaged("miscounts", miscounts)
STARVES_LOW = Sabotaged("starves-low", starves_low)

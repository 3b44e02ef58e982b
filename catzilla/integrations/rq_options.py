"""What a job is enqueued with: RQ's options checked, and told apart from the function's own arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.integrations.rq_job import Job
from catzilla.integrations.unsupported import Unsupported, refuse

UNSUPPORTED: Final = {
    "result_ttl": "a result lives as long as its Job; just leave it out",
    "failure_ttl": "a failure lives as long as its Job; just leave it out",
    "job_id": "ids are made here: take job.id",
    "at_front": "use a queue of a higher priority: Queue('high')",
    "meta": "keep what belongs to a job beside it",
    "repeat": "use system.add_schedule(fn, every=...)",
    "group_id": "use catzilla.canvas.group",
    "unique": "declare it with the function, @system.task(unique=True), and enqueue that task",
    "rate_limit": "declare it with the function, @system.task(rate_limit='10/s'), and enqueue that task",
    "pipeline": "there is no Redis; enqueue_many() enqueues several at once",
    "on_stopped": "a running job is not stopped from outside; it can look at current_task().cancel_requested",
    "webhooks": "send the request in on_success or on_failure",
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Retry:
    """``max`` more attempts, ``interval`` seconds before each: a number, or one for each attempt."""

    def __init__(self, max: int, interval: float | Sequence[float] = 0, enqueue_at_front: bool = False) -> None:
        if isinstance(max, bool) or not isinstance(max, int):
            raise ConfigTypeError(f"Retry(max={max!r}) must be an int")
        if max < 1:
            raise ConfigValueError(f"Retry(max={max!r}) must be at least 1")
        if enqueue_at_front:
            raise Unsupported("Retry(enqueue_at_front=True): use a queue of a higher priority: Queue('high')")
        intervals: list[Any] = list(interval) if isinstance(interval, Sequence) else [interval]
        if not intervals or any(
            isinstance(each, bool) or not isinstance(each, int | float) or not each >= 0 for each in intervals
        ):
            raise ConfigValueError(f"Retry(interval={interval!r}) must be seconds of at least 0, or a list of them")
        self.max = max
        self.intervals = intervals

    def options(self) -> dict[str, Any]:
        intervals = self.intervals
        if len(intervals) == 1:
            ms = intervals[0] * 1000
            return {"max_retries": self.max, "retry_backoff": "fixed", "retry_base_ms": ms, "retry_max_ms": ms}
        return {
            "max_retries": self.max,
            "retry_backoff": lambda retry: intervals[min(retry, len(intervals)) - 1] * 1000,
            "retry_base_ms": 0,
            "retry_max_ms": max(intervals) * 1000,
        }


class Callback:
    """What on_success and on_failure take, beside the bare function; ``func`` may be "module.function"."""

    def __init__(self, func: Callable[..., object] | str, timeout: float | str | None = None) -> None:
        if timeout is not None:
            raise Unsupported(
                f"Callback(timeout={timeout!r}): it runs on the thread that ended the job; keep it short, or enqueue "
                "what takes long from it"
            )
        self.func = imported(func) if isinstance(func, str) else func
        if not callable(self.func):
            raise ConfigTypeError(f"Callback({func!r}) takes a callable, or 'module.function'")


class Dependency:
    """``depends_on=Dependency(jobs=[...], allow_failure=True)``: also when they fail or are cancelled."""

    def __init__(self, jobs: Job | Sequence[Job], allow_failure: bool = False, enqueue_at_front: bool = False) -> None:
        if enqueue_at_front:
            raise Unsupported("Dependency(enqueue_at_front=True): use a queue of a higher priority: Queue('high')")
        given: Any = jobs
        several = given if isinstance(given, list | tuple) else [given]
        if not all(isinstance(job, Job) for job in several):
            raise ConfigTypeError(f"depends_on takes a Job or a list of them, not {given!r}")
        self.jobs: list[Job] = list(several)
        self.allow_failure = allow_failure


@dataclass(frozen=True)
class EnqueueData:
    """One call with its options, checked: what prepare_data() gives and enqueue_many() takes."""

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timeout: float | str | None = None
    ttl: float | None = None
    description: str | None = None
    depends_on: Dependency | None = None
    retry: Retry | None = None
    on_success: Callable[..., object] | None = None
    on_failure: Callable[..., object] | None = None


OPTIONS: Final = frozenset(EnqueueData.__dataclass_fields__) - {"func", "args", "kwargs"}


def explicit(where: str, func: Any, args: Any, kwargs: Any, options: Mapping[str, Any]) -> EnqueueData:
    """Of ``args=(...), kwargs={...}`` and options by RQ's names."""
    if args is not None and not isinstance(args, tuple | list):
        raise ConfigTypeError(f"{where}: args={args!r} must be a tuple or list of arguments; of one: args=(x,)")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise ConfigTypeError(f"{where}: kwargs={kwargs!r} must be a dict of keyword arguments")
    known = checked(where, options)
    fn = imported(func) if isinstance(func, str) else func
    return EnqueueData(fn, tuple(args or ()), dict(kwargs or {}), **known)


def checked(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that an EnqueueData has. None and False leave one at its default, also one that is refused."""
    refuse((name for name, value in options.items() if value is not None and value is not False), UNSUPPORTED, where)
    known = {name: value for name, value in options.items() if name not in UNSUPPORTED}
    for name in known:
        if name not in OPTIONS:
            raise ConfigTypeError(f"{where} takes no {name}: what the function gets goes into args= and kwargs=")
    timeout_ms(known.get("timeout"))  # a mistake is told here, not when it is enqueued
    ttl = known.get("ttl")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float)):
        raise ConfigTypeError(f"ttl={ttl!r} must be a number of seconds")
    if ttl is not None and not ttl > 0:
        raise ConfigValueError(f"ttl={ttl!r} must be more than 0 seconds")
    depends_on = known.get("depends_on")
    if depends_on is not None and not isinstance(depends_on, Dependency):
        known["depends_on"] = Dependency(depends_on)
    known["retry"] = _retry(known.get("retry"))
    for name in ("on_success", "on_failure"):
        known[name] = _hook(name, known.get(name))
    return known


def of_call(
    where: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
) -> EnqueueData:
    """Of ``f, *args, **kwargs``, where the keywords may be ``args=`` and ``kwargs=``, and hold refused options."""
    options |= {name: kwargs.pop(name) for name in UNSUPPORTED if name in kwargs}
    if "args" not in kwargs and "kwargs" not in kwargs:
        return explicit(where, func, args, kwargs, options)
    given, named = kwargs.pop("args", None), kwargs.pop("kwargs", None)
    if args or kwargs:
        beside = [repr(each) for each in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
        raise ConfigTypeError(
            f"{where}: {', '.join(beside)} beside args= and kwargs=: give every argument of the function in these "
            "two, or leave both out"
        )
    return explicit(where, func, given, named, options)


def timeout_ms(value: Any) -> float | None:
    """Seconds, or "30s", "3m", "1h", "2d"; None and -1: no limit."""
    if value is None or value == -1:
        return None
    if isinstance(value, str):
        number, unit = (value[:-1], value[-1:]) if value[-1:] in _UNITS else (value, "s")
        if not number.isdigit():
            raise ConfigValueError(f"job_timeout={value!r} must be seconds, or like '30s', '3m', '1h', '2d'")
        value = int(number) * _UNITS[unit]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigTypeError(f"job_timeout={value!r} must be seconds, or like '30s', '3m', '1h', '2d'")
    if not value > 0:
        raise ConfigValueError(f"job_timeout={value!r} must be more than 0; -1 means no limit")
    return value * 1000


def imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigValueError(f"{path!r} is no path to a function: write 'module.function', or pass the function")
    return getattr(importlib.import_module(module), name)


def _retry(value: Any) -> Retry | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return Retry(value)
    if value is None or isinstance(value, Retry):
        return value
    raise ConfigTypeError(f"retry={value!r} must be a Retry(max=..., interval=...) or an int")


def _hook(name: str, value: Any) -> Callable[..., object] | None:
    hook = value.func if isinstance(value, Callback) else value
    if hook is not None and not callable(hook):
        raise ConfigTypeError(f"{name}={value!r} must be callable, or a Callback")
    return hook

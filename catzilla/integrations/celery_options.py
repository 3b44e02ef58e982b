"""Celery's options of a task and of a call, in Catzilla's names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.integrations.celery_conf import Conf
from catzilla.integrations.unsupported import refuse
from catzilla.options import MOST_COUNT
from catzilla.priority import TaskPriority

_NO_ROUTE: Final = "there are no remote workers to route to; use priority=, or an app (with a TaskSystem) for each kind"
_NO_SERIALIZER: Final = "arguments and results are passed as the objects they are; just leave it out"
UNSUPPORTED: Final = {
    "queue": _NO_ROUTE,
    "exchange": _NO_ROUTE,
    "routing_key": _NO_ROUTE,
    "connection": "there is no broker to connect to; just leave it out",
    "producer": "there is no broker to connect to; just leave it out",
    "serializer": _NO_SERIALIZER,
    "compression": _NO_SERIALIZER,
    "task_id": "ids are made here: take result.id",
    "headers": "nothing is sent; pass it as an argument, or in a contextvars.ContextVar, which tasks inherit",
    "soft_time_limit": "there is one limit: time_limit=, which ends the task and frees its worker",
    "acks_late": "a task is not sent anywhere, so nothing is acknowledged; for failures use autoretry_for=",
    "reject_on_worker_lost": "a task is lost only with this process; keep what must survive in your database",
    "dont_autoretry_for": "name the exceptions that are tried again in autoretry_for=",
    "base": "there are no task classes; put what tasks share into functions, and failures into system.on_task_failure",
    "store_errors_even_if_ignored": "an error is kept with its AsyncResult",
    "track_started": "the state STARTED is always told; just leave it out",
}
FOREVER: Final = MOST_COUNT


def task_options(conf: Conf, given: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """Options of ``app.task`` -> Catzilla's, and default_retry_delay in seconds."""
    options = dict(given)
    refuse(options, UNSUPPORTED, "app.task()")
    retry_kwargs = dict(options.pop("retry_kwargs", None) or {})
    max_retries = retry_kwargs.pop("max_retries", options.pop("max_retries", 3))
    delay_s = options.pop("default_retry_delay", 180)
    fixed_s = retry_kwargs.pop("countdown", delay_s)
    if retry_kwargs:
        raise ConfigTypeError(f"retry_kwargs takes max_retries and countdown, not {', '.join(sorted(retry_kwargs))}")
    known: dict[str, Any] = {
        "max_retries": FOREVER if max_retries is None else max_retries,
        "retry_on": tuple(options.pop("autoretry_for", ())),
        **_backoff(
            options.pop("retry_backoff", False),
            options.pop("retry_backoff_max", 600),
            options.pop("retry_jitter", True),
            fixed_s,
        ),
    }
    if options.get("rate_limit") is None:
        options.pop("rate_limit", None)
    if options.get("expires") is not None:
        options["expires_ms"] = _ms(options.pop("expires"))
    known.update(call_options(conf, options, only_call=False))
    if "priority" not in known:
        known["priority"] = lane_of(conf, conf.task_default_priority)
    if "timeout_ms" not in known and conf.task_time_limit is not None:
        known["timeout_ms"] = conf.task_time_limit * 1000
    return known, delay_s


def call_options(conf: Conf, given: dict[str, Any], only_call: bool = True) -> dict[str, Any]:
    """Options of ``apply_async``, ``set`` and ``signature`` -> Catzilla's; others are left for it to judge."""
    refuse(given, UNSUPPORTED, "apply_async()" if only_call else "app.task()")
    options = dict(given)
    options.pop("ignore_result", None)  # a result that nobody keeps is gone
    options.pop("add_to_parent", None)
    if options.get("shadow") is not None:
        options["name"] = options.pop("shadow")
    if "priority" in options:
        options["priority"] = lane_of(conf, options["priority"])
    if "time_limit" in options:
        limit_s = options.pop("time_limit")
        options["timeout_ms"] = None if limit_s is None else limit_s * 1000
    for name in ("eta", "expires"):
        value = options.get(name)
        if isinstance(value, datetime) and value.utcoffset() is None:
            options[name] = value.replace(tzinfo=conf.timezone)
    if conf.task_always_eager:  # as Celery: at once
        options.pop("countdown", None)
        options.pop("eta", None)
    return options


def lane_of(conf: Conf, priority: Any) -> TaskPriority:
    """0..9 -> a lane: the highest is CRITICAL, the next three HIGH, then three NORMAL, three LOW."""
    if priority is None:
        return TaskPriority.NORMAL
    if isinstance(priority, TaskPriority):
        return priority
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise ConfigTypeError(f"priority={priority!r} must be an int of 0 to 9, or a TaskPriority")
    if not 0 <= priority <= 9:
        raise ConfigValueError(f"priority={priority!r} must be between 0 and 9")
    return TaskPriority((abs(conf.highest_priority - priority) + 2) // 3)


def _ms(expires: Any) -> Any:
    """A number of seconds, or a timedelta: counted from each call."""
    if isinstance(expires, datetime):
        raise ConfigTypeError("app.task(expires=...) takes seconds; give a datetime to apply_async(expires=...)")
    if isinstance(expires, timedelta):
        expires = expires.total_seconds()
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise ConfigTypeError(f"expires={expires!r} must be a number of seconds, or a timedelta")
    return expires * 1000


def _backoff(factor: Any, most_s: float, jitter: bool, fixed_s: float) -> dict[str, Any]:
    if factor is False or factor is None:
        return {"retry_backoff": "fixed", "retry_base_ms": fixed_s * 1000, "retry_max_ms": fixed_s * 1000}
    base_s = 1.0 if factor is True else factor
    most_ms = max(most_s, base_s) * 1000
    if jitter:
        return {"retry_backoff": "exponential", "retry_base_ms": base_s * 1000, "retry_max_ms": most_ms}
    return {"retry_backoff": _doubling(base_s), "retry_base_ms": 0, "retry_max_ms": most_ms}


def _doubling(base_s: float) -> Callable[[int], float]:
    return lambda retry: base_s * 1000.0 * 2 ** min(retry - 1, 64)

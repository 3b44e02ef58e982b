"""``app.conf``: the settings of Celery that mean something here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timezone, tzinfo
from typing import Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.integrations.unsupported import refuse

_NO_BROKER: Final = "there is no broker; tasks wait in this process's own lanes (TaskSystem(queue_size=, on_full=))"
_NO_SERIALIZER: Final = "arguments and results are passed as the objects they are; just leave it out"
_NO_STORE: Final = "a result lives as long as its AsyncResult; for finding it by id, Celery(..., keep_results=n)"
UNSUPPORTED: Final = {
    "broker_url": _NO_BROKER,
    "broker": _NO_BROKER,
    "broker_transport_options": _NO_BROKER,
    "result_backend": _NO_STORE,
    "result_expires": _NO_STORE,
    "task_serializer": _NO_SERIALIZER,
    "result_serializer": _NO_SERIALIZER,
    "accept_content": _NO_SERIALIZER,
    "task_routes": "there are no remote workers to route to; use priority=, or a TaskSystem of its own for each kind",
    "task_queues": "there are no remote workers to route to; use priority=, or a TaskSystem of its own for each kind",
    "task_acks_late": "a task is not sent anywhere, so nothing is acknowledged; for failures use autoretry_for=",
    "worker_concurrency": "give the number of threads in the app line: Celery(..., workers=8)",
    "worker_prefetch_multiplier": "workers take from this process's own lanes; just leave it out",
    "beat_schedule": "declare it where the task is: app.system.add_schedule(task, every=... or cron=...)",
}


class Conf:
    """Attributes, ``update(...)`` and items. Raises Unsupported for a setting that cannot be honoured."""

    _defaults: Final[dict[str, Any]] = {
        "task_always_eager": False,
        "task_eager_propagates": False,
        "timezone": timezone.utc,  # noqa: UP017
        "task_default_priority": None,
        "task_time_limit": None,
        "highest_priority": 9,
    }

    def __init__(self, changed: Callable[[str, Any], object]) -> None:
        object.__setattr__(self, "_values", dict(self._defaults))
        object.__setattr__(self, "_changed", changed)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"no setting {name!r}; these are: {', '.join(self._defaults)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        refuse([name], UNSUPPORTED, "app.conf")
        if name == "enable_utc":
            value, name = timezone.utc if value else self.timezone, "timezone"  # noqa: UP017
        if name not in self._defaults:
            raise ConfigTypeError(f"no setting {name!r}; these are: {', '.join(self._defaults)}")
        self._values[name] = _checked(name, value)
        self._changed(name, self._values[name])

    __getitem__ = __getattr__
    __setitem__ = __setattr__

    def update(self, settings: Mapping[str, Any] | None = None, **more: Any) -> None:
        for name, value in {**(settings or {}), **more}.items():
            setattr(self, name, value)


def _checked(name: str, value: Any) -> Any:
    if name in ("task_always_eager", "task_eager_propagates") and not isinstance(value, bool):
        raise ConfigTypeError(f"{name}={value!r} must be True or False")
    if name == "highest_priority" and value not in (0, 9):
        raise ConfigValueError(f"highest_priority={value!r} must be 9 (as RabbitMQ has it) or 0 (as Redis has it)")
    if name == "timezone" and not isinstance(value, tzinfo):
        from zoneinfo import ZoneInfo

        return ZoneInfo(value)
    return value

"""arq with its defaults."""

from __future__ import annotations

from typing import Any

from arq.connections import RedisSettings

from brokers import calls


async def call(context: dict[str, Any], name: str, arguments: list[Any]) -> Any:
    return calls.call(name, arguments)


class WorkerSettings:
    functions = (call,)
    redis_settings = RedisSettings.from_dsn(calls.redis_url())

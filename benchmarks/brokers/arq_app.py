"""arq with its defaults but for the number of jobs at once."""

from __future__ import annotations

import os
from typing import Any

from arq.connections import RedisSettings

from brokers import calls


async def call(context: dict[str, Any], name: str, arguments: list[Any]) -> Any:
    return calls.call(name, arguments)


class WorkerSettings:
    functions = (call,)
    redis_settings = RedisSettings.from_dsn(calls.redis_url())
    max_jobs = int(os.environ["CATZILLA_BENCH_WORKERS"])

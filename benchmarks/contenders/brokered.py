"""Task queues with Redis between them and their workers: Celery, RQ, arq, Dramatiq, taskiq.

The Redis is started for the run on a free port of loopback, without persistence.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from brokers.calls import URL_VARIABLE, by_name, call, redis_url
from harness import own_env
from harness.contender import LATENCY, NOOPS, Contender, Fn, Offer, T
from harness.machine import version
from harness.workloads import noop

HERE = Path(__file__).parent.parent
RESULT_WITHIN_S = 50
BURST = 300
POLLED_BURST = 100


class Brokered(Contender):
    """Starts the workers the way their documentation does, and waits for their first answer."""

    def __init__(self, workers: int, command: list[str], **environ: str) -> None:
        super().__init__(workers)
        os.environ.update(environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=HERE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))},
        )
        self.connect()
        self.result(self.submit(noop))

    def connect(self) -> None:
        """Open what ``submit`` and ``result`` need."""

    def burst(self, fn: Fn, n: int) -> float:
        n_measured = min(n, BURST)  # milliseconds a task: no need for more
        return super().burst(fn, n_measured) * n / n_measured

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Celery(Brokered):
    def __init__(self, workers: int) -> None:
        command = ["celery", "-A", "brokers.celery_app", "worker", "--concurrency", str(workers), "--loglevel", "ERROR"]
        super().__init__(workers, command)

    def connect(self) -> None:
        from brokers.celery_app import call as task

        self._task = task

    def submit(self, fn: Fn) -> Any:
        return self._task.delay(*by_name(fn))

    def result(self, handle: Any) -> object:
        return handle.get(timeout=RESULT_WITHIN_S)


class Rq(Brokered):
    def __init__(self, workers: int) -> None:
        super().__init__(workers, ["rq.cli", "worker-pool", "-q", "-n", str(workers), "-u", redis_url(), "default"])

    def connect(self) -> None:
        from redis import Redis
        from rq import Queue

        self._queue = Queue(connection=Redis.from_url(redis_url()))

    def submit(self, fn: Fn) -> Any:
        return self._queue.enqueue(call, *by_name(fn))

    def result(self, handle: Any) -> object:
        result = handle.latest_result(timeout=RESULT_WITHIN_S)
        return result.return_value


class Dramatiq(Brokered):
    def __init__(self, workers: int) -> None:
        command = ["dramatiq", "brokers.dramatiq_app", "--processes", "1", "--threads", str(workers)]
        super().__init__(workers, command, CATZILLA_BENCH_DRAMATIQ="redis")

    def connect(self) -> None:
        from brokers.dramatiq_app import call as actor

        self._actor = actor

    def submit(self, fn: Fn) -> Any:
        return self._actor.send(*by_name(fn))

    def result(self, handle: Any) -> object:
        return handle.get_result(block=True, timeout=RESULT_WITHIN_S * 1000)


class Arq(Brokered):
    def __init__(self, workers: int) -> None:
        self._loop = asyncio.new_event_loop()
        super().__init__(workers, ["arq", "brokers.arq_app.WorkerSettings"])

    def connect(self) -> None:
        from arq import create_pool
        from arq.connections import RedisSettings

        self._pool = self._loop.run_until_complete(create_pool(RedisSettings.from_dsn(redis_url())))

    def submit(self, fn: Fn) -> Any:
        return self._loop.run_until_complete(self._pool.enqueue_job("call", *by_name(fn)))

    def result(self, handle: Any) -> object:
        return self._loop.run_until_complete(handle.result(timeout=RESULT_WITHIN_S))

    def burst(self, fn: Fn, n: int) -> float:
        async def all_of_them() -> float:
            start = time.perf_counter()
            jobs = [await self._pool.enqueue_job("call", *by_name(fn)) for _ in range(POLLED_BURST)]
            for job in jobs:
                await job.result(timeout=RESULT_WITHIN_S)
            return time.perf_counter() - start

        return self._loop.run_until_complete(all_of_them()) * n / POLLED_BURST

    def timed_call(self, fn: Callable[[], T], priority: int = 2) -> tuple[T, int, int]:
        async def once() -> tuple[Any, int, int]:
            before_ns = time.perf_counter_ns()
            value = await (await self._pool.enqueue_job("call", *by_name(fn))).result(timeout=RESULT_WITHIN_S)
            return value, before_ns, time.perf_counter_ns()

        return self._loop.run_until_complete(once())


class Taskiq(Brokered):
    def __init__(self, workers: int) -> None:
        self._loop = asyncio.new_event_loop()
        command = ["taskiq", "worker", "brokers.taskiq_app:broker", "--workers", str(workers), "--log-level", "ERROR"]
        super().__init__(workers, command)

    def connect(self) -> None:
        from brokers.taskiq_app import broker
        from brokers.taskiq_app import call as task

        self._task = task
        self._broker = broker
        self._loop.run_until_complete(broker.startup())

    def submit(self, fn: Fn) -> Any:
        return self._loop.run_until_complete(self._task.kiq(*by_name(fn)))

    def result(self, handle: Any) -> object:
        return self._loop.run_until_complete(self._value(handle))

    async def _value(self, handle: Any) -> Any:
        result = await handle.wait_result(timeout=RESULT_WITHIN_S)
        result.raise_for_error()
        return result.return_value

    def burst(self, fn: Fn, n: int) -> float:
        async def all_of_them() -> float:
            start = time.perf_counter()
            handles = [await self._task.kiq(*by_name(fn)) for _ in range(POLLED_BURST)]
            for handle in handles:
                await self._value(handle)
            return time.perf_counter() - start

        return self._loop.run_until_complete(all_of_them()) * n / POLLED_BURST

    def timed_call(self, fn: Callable[[], T], priority: int = 2) -> tuple[T, int, int]:
        async def once() -> tuple[Any, int, int]:
            before_ns = time.perf_counter_ns()
            value = await self._value(await self._task.kiq(*by_name(fn)))
            return value, before_ns, time.perf_counter_ns()

        return self._loop.run_until_complete(once())

    def close(self) -> None:
        self._loop.run_until_complete(self._broker.shutdown())
        super().close()


def _start_redis() -> str:
    """Once for all of them; why there is none."""
    if URL_VARIABLE in os.environ:
        return ""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/tmp"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(server.wait)
    atexit.register(server.terminate)
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
            continue
        os.environ[URL_VARIABLE] = f"redis://127.0.0.1:{port}/0"
        return ""
    return "redis-server did not start"


def _offer(name: str, kind: Callable[[int], Contender], distributions: tuple[str, ...], settings: str) -> Offer:
    first = distributions[0]
    own = "" if version(first) else own_env.python_of(first)
    missing = [] if own else [one for one in distributions if not version(one)]
    absent = f"no {' and no '.join(missing)} (python benchmarks/install_rivals.py)" if missing else ""
    if not shutil.which("redis-server"):
        absent = "no redis-server (Debian: apt-get install redis-server)"
    return Offer(
        name,
        kind,
        frozenset({NOOPS, LATENCY}),
        f"{settings}; {_redis_version()} on loopback, nothing saved to disk",
        absent=absent,
        version=version(first) or own_env.version_in_own(first),
        slow=True,
        prepare=_start_redis,
        python=own,
    )


@cache
def _redis_version() -> str:
    """Such as "Redis 7.0.15"."""
    try:
        told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "Redis"
    return "Redis " + next((word[2:] for word in told.stdout.split() if word.startswith("v=")), "of unknown version")


def offers() -> list[Offer]:
    kept = "results in Redis"
    return [
        _offer("Celery on Redis", Celery, ("celery", "redis"), f"worker, prefork (default), as many processes, {kept}"),
        _offer(
            "RQ on Redis", Rq, ("rq", "redis"), "worker-pool of as many workers; each job in a forked process (default)"
        ),
        _offer("Dramatiq on Redis", Dramatiq, ("dramatiq", "redis"), f"one process, as many threads, {kept}"),
        _offer(
            "taskiq on Redis",
            Taskiq,
            ("taskiq", "taskiq-redis"),
            f"RedisStreamBroker, as many processes, {kept}, polled every 0.2 s (default)",
        ),
        _offer("arq on Redis", Arq, ("arq",), "max_jobs=10 (default), worker and results: polls every 0.5 s (default)"),
    ]

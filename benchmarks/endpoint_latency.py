"""What a queue of 10,000 computing tasks does to the latency of an HTTP endpoint of the same process.

    python benchmarks/endpoint_latency.py [--backend NAME] [--rounds N]

A server in a process of its own answers GET /ping, asked over one kept connection from this process:
idle, and while its two workers go through a queue that is filled up to 10,000 tasks of 100 us of
Python whenever it falls below 5,000. The same with a ThreadPoolExecutor of two, for comparison.
Target: the p99 under load is at most 6 ms (one switch interval and a bit) above idle.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

QUEUED, REFILL_BELOW = 10_000, 5_000
WORKERS = 2
TARGET_MS = 6.0
THREADS = "ThreadPoolExecutor"


def spin() -> int:
    total = 0
    for i in range(2_000):
        total += i
    return total


# -- The server ----------------------------------------------------------------------------------------


def serve(contender: str) -> None:
    import uvicorn

    from catzilla import Catzilla

    app = Catzilla()
    fill, queued = (thread_pool if contender == THREADS else catzilla_backend)(app, contender)

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {"answer": "pong"}

    @app.post("/fill")
    def refill() -> int:
        if queued() < REFILL_BELOW:
            fill(QUEUED - queued())
        return queued()

    # The protocol is named because asyncio turns Nagle's algorithm off only for sockets that say so:
    # with it on, a kept connection waits 40 ms for a delayed ACK in every answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def catzilla_backend(app: Any, name: str) -> tuple[Callable[[int], object], Callable[[], int]]:
    tasks = app.enable_background_tasks(
        backend=name,
        workers=WORKERS,
        enable_auto_scaling=False,
        enable_c_compilation=False,  # compiled, the tasks would leave the GIL alone
        queue_size=QUEUED,
        shutdown_timeout=1,
    )
    return lambda n: tasks.add_tasks(spin, [()] * n), lambda: tasks.stats().total_queued


def thread_pool(app: Any, name: str) -> tuple[Callable[[int], object], Callable[[], int]]:
    pool = ThreadPoolExecutor(WORKERS)
    app.router.add_event_handler("shutdown", lambda: pool.shutdown(cancel_futures=True))
    return lambda n: [pool.submit(spin) for _ in range(n)], pool._work_queue.qsize


# -- The client ----------------------------------------------------------------------------------------


@contextmanager
def server_of(contender: str) -> Iterator[http.client.HTTPConnection]:
    command = [sys.executable, __file__, "--server", contender]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=30)
        try:
            yield connection
        finally:
            connection.close()
            process.terminate()


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> Any:
    connection.request(method, path)
    return json.loads(connection.getresponse().read())


def pings_ms(connection: http.client.HTTPConnection, n: int, loaded: bool) -> list[float]:
    times = []
    for i in range(n):
        if loaded and i % 20 == 0:
            ask(connection, "POST", "/fill")
        time.sleep(0.001)
        start = time.perf_counter()
        ask(connection, "GET", "/ping")
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)


def measure(contender: str, n: int) -> dict[str, float]:
    with server_of(contender) as connection:
        pings_ms(connection, 50, loaded=False)
        idle = pings_ms(connection, n, loaded=False)
        loaded = pings_ms(connection, n, loaded=True)
    return {
        "idle p50": idle[n // 2],
        "idle p99": idle[n * 99 // 100],
        "loaded p50": loaded[n // 2],
        "loaded p99": loaded[n * 99 // 100],
        "p99 above idle": loaded[n * 99 // 100] - idle[n * 99 // 100],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", default=["auto"], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pings", type=int, default=500, metavar="N", help="of each kind in a round")
    parser.add_argument("--server", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        serve(arguments.server)
        return 0

    contenders = [*arguments.backend, THREADS]
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        for name in contenders:
            rounds[name].append(measure(name, arguments.pings))
    met = True
    for name, figures in rounds.items():
        middle = {key: median(one[key] for one in figures) for key in figures[0]}
        print(f"{name}: " + ", ".join(f"{key} {value:.2f} ms" for key, value in middle.items()))
        met &= name == THREADS or middle["p99 above idle"] <= TARGET_MS
    print(f"target, p99 at most {TARGET_MS:.0f} ms above idle: {'met' if met else 'missed'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())

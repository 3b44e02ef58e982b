"""Background tasks behind an HTTP API.

python main.py            serves on a free port, calls itself, prints what it got, exits
python main.py --serve    stays up: http://127.0.0.1:8000/docs
"""

import argparse
import json
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import HTTPException

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority

app = Catzilla(use_jemalloc=True, memory_profiling=True)
app.enable_background_tasks(
    workers=16,
    enable_auto_scaling=True,
    memory_pool_mb=1000,
    enable_c_compilation=True,
    keep_results=1000,  # GET /tasks/{task_id} finds the last thousand that are finished
)


@app.task(priority=TaskPriority.HIGH, compile_to_c=True)
def send_notification(user_id: int, message: str) -> dict:
    print(f"Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}


@app.task(priority=TaskPriority.NORMAL)
def process_data(data: dict) -> dict:
    return {"processed": True, "result": analyze_user_behavior(data)}


def analyze_user_behavior(data: dict) -> dict:
    pages = Counter(data["visits"])
    return {"visits": pages.total(), "favourite": pages.most_common(1)[0][0]}


@app.post("/users/{user_id}/notify")
def notify_user(user_id: int, message: str):
    result = app.add_task(send_notification, user_id, message, priority=TaskPriority.HIGH)
    return {"task_id": result.task_id, "status": "queued"}


@app.post("/visits")
def visits(data: dict[str, Any]):
    return {"task_id": app.add_task(process_data, data).task_id, "status": "queued"}


@app.get("/tasks/stats")
def get_performance_stats():
    stats = app.get_task_stats()
    return {
        "throughput": {
            "tasks_per_second": stats.tasks_per_second,
            "avg_execution_time_ms": stats.avg_execution_time_ms,
            "p95_execution_time_ms": stats.p95_execution_time_ms,
        },
        "queues": {
            "critical": stats.critical_queue_size,
            "high": stats.high_queue_size,
            "normal": stats.normal_queue_size,
            "low": stats.low_queue_size,
            "pressure": stats.queue_pressure,
        },
        "workers": {
            "active": stats.active_workers,
            "idle": stats.idle_workers,
            "total": stats.total_workers,
            "utilization": stats.avg_worker_utilization,
        },
        "memory": {
            "usage_mb": stats.memory_usage_mb,
            "efficiency": stats.memory_efficiency,
        },
    }


@app.get("/tasks/memory")
def get_memory_efficiency():
    memory_stats = app.get_memory_stats()
    task_stats = app.get_task_stats()
    return {
        "jemalloc_enabled": app.has_jemalloc,
        "memory_usage_mb": task_stats.memory_usage_mb,
        "efficiency": task_stats.memory_efficiency,  # null: this backend cannot measure it
        "fragmentation": memory_stats.get("fragmentation_percent"),
        "allocator": memory_stats.get("allocator"),
    }


@app.get("/tasks/{task_id}")
def look_up(task_id: str, wait: float = 0):
    """What became of a task. ``wait``: how many seconds the answer may take, if that helps."""
    task = app.get_task(task_id)
    if task is None:
        raise HTTPException(404, "no such task, or one that ended long ago")
    try:
        return {"task_id": task_id, "result": task.wait(timeout=wait), "status": task.status.name}
    except TimeoutError:
        return {"task_id": task_id, "status": task.status.name}
    except Exception as error:  # whatever the task raised
        return {"task_id": task_id, "error": repr(error), "status": task.status.name}


# -- A server that calls itself, to show all of the above --------------------------------------------


def demo() -> None:
    with serving(app) as url:
        queued = call("POST", f"{url}/users/42/notify?message=Hello")
        show("POST /users/42/notify?message=Hello", queued)
        show("GET /tasks/{task_id}?wait=5", call("GET", f"{url}/tasks/{queued['task_id']}?wait=5"))

        queued = call("POST", f"{url}/visits", {"visits": ["/", "/cats", "/cats"]})
        show("POST /visits", queued)
        show("GET /tasks/{task_id}?wait=5", call("GET", f"{url}/tasks/{queued['task_id']}?wait=5"))

        show("GET /tasks/stats", call("GET", f"{url}/tasks/stats"))
        show("GET /tasks/memory", call("GET", f"{url}/tasks/memory"))
    # Leaving the block stopped the server, which waited for the tasks that were still queued.


@contextmanager
def serving(app: Catzilla) -> Iterator[str]:
    """Serve on a free port of this machine as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def call(method: str, url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def show(what: str, answer: object) -> None:
    print(what)
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="stay up until Ctrl-C")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    if arguments.serve:
        uvicorn.run(app, port=arguments.port)
    else:
        demo()

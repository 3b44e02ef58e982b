"""A workflow of three tasks, each fed with the result of the one before, behind an HTTP API.

    python workflow_example.py            serves on a free port, calls itself, prints what it got, exits
    python workflow_example.py --serve    stays up: http://127.0.0.1:8000/docs

Three ways to run the same workflow: wait for each step, await each step, or chain them with
``then`` and let the task system carry each result to the next step.
"""

import argparse
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import HTTPException
from fastapi.responses import JSONResponse

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority

app = Catzilla("Recommendations")
app.enable_background_tasks(keep_results=1000)

USERS = {
    1: {"name": "Ada", "visits": ["/engines", "/engines", "/poetry"]},
    2: {"name": "Grace", "visits": ["/compilers", "/ships"]},
}


class UnknownUser(Exception):
    pass


# -- The steps -----------------------------------------------------------------------------------------


@app.task(priority=TaskPriority.NORMAL, max_retries=2, retry_on=(ConnectionError,))
def fetch_user_data(user_id: int) -> dict:
    if user_id not in USERS:
        raise UnknownUser(f"there is no user {user_id}")
    return USERS[user_id]


@app.task(priority=TaskPriority.NORMAL)
def analyze_behavior(user_data: dict) -> dict:
    visits = user_data["visits"]
    return {"name": user_data["name"], "topic": max(visits, key=visits.count)}


@app.task(priority=TaskPriority.HIGH, compile_to_c=True)
def send_recommendations(analysis: dict) -> dict:
    print(f"To {analysis['name']}: more about {analysis['topic']}")
    return {"sent": 1, "topic": analysis["topic"]}


# -- Wait for each step: a plain def endpoint, which FastAPI runs on a thread that may block -------------


@app.post("/users/{user_id}/recommendations")
def generate_recommendations(user_id: int):
    user_data_result = app.add_task(fetch_user_data, user_id)
    user_data = user_data_result.wait(timeout=5.0)

    analysis_result = app.add_task(analyze_behavior, user_data)
    analysis = analysis_result.wait(timeout=10.0)

    send_result = app.add_task(send_recommendations, analysis, priority=TaskPriority.HIGH)
    return {"recommendations_sent": send_result.wait(timeout=2.0)}


# -- Await each step: an async def endpoint, whose event loop serves others meanwhile --------------------


@app.post("/users/{user_id}/recommendations/awaited")
async def await_recommendations(user_id: int):
    user_data = await app.add_task(fetch_user_data, user_id)
    analysis = await app.add_task(analyze_behavior, user_data)
    return {"recommendations_sent": await app.add_task(send_recommendations, analysis)}


# -- Chain the steps: answer at once, and the workflow goes on without the request -----------------------


@app.post("/users/{user_id}/recommendations/chained", status_code=202)
def chain_recommendations(user_id: int):
    workflow = app.add_task(fetch_user_data, user_id).then(analyze_behavior).then(send_recommendations)
    return {"task_id": workflow.task_id, "status": "queued"}


@app.get("/tasks/{task_id}")
async def look_up(task_id: str):
    task = app.get_task(task_id)
    if task is None:
        raise HTTPException(404, "no such task, or one that ended long ago")
    return {"task_id": task_id, "recommendations_sent": await task}


@app.exception_handler(UnknownUser)
def unknown_user(request: object, error: UnknownUser) -> JSONResponse:
    """A step's exception comes out of wait() and await as it was raised, also through a chain."""
    return JSONResponse({"detail": str(error)}, 404)


# -- A server that calls itself, to show all of the above ------------------------------------------------


def demo() -> None:
    with serving(app) as url:
        show("POST /users/1/recommendations", call("POST", f"{url}/users/1/recommendations"))
        show("POST /users/2/recommendations/awaited", call("POST", f"{url}/users/2/recommendations/awaited"))

        queued = call("POST", f"{url}/users/1/recommendations/chained")
        show("POST /users/1/recommendations/chained", queued)
        show("GET /tasks/{task_id}", call("GET", f"{url}/tasks/{queued['task_id']}"))

        show("POST /users/3/recommendations", call("POST", f"{url}/users/3/recommendations"))
        queued = call("POST", f"{url}/users/3/recommendations/chained")
        show("GET /tasks/{task_id} of a chain for user 3", call("GET", f"{url}/tasks/{queued['task_id']}"))


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


def call(method: str, url: str) -> Any:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return {"http_status": error.code, **json.load(error)}


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

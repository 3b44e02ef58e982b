"""What a type checker makes of user code. scripts/typecheck checks it; nothing runs it."""

from __future__ import annotations

from typing import assert_type

from catzilla import Catzilla, TaskSystem
from catzilla.background_tasks import AsyncTask, Task, TaskResult
from catzilla.canvas import TaskSignature

system = TaskSystem()
app = Catzilla()


@system.task
def count(text: str, /) -> int:
    return len(text)


@system.task
async def fetch(user_id: int, /) -> str:
    return str(user_id)


@app.task(max_retries=3)
async def send(user_id: int) -> bytes:
    return bytes(user_id)


@app.task(max_retries=3)
def store(user_id: int) -> float:
    return float(user_id)


async def plain(user_id: int) -> str:
    return str(user_id)


assert_type(count, Task[[str], int])
assert_type(count("in place"), int)
assert_type(count.submit("queued"), TaskResult[int])
assert_type(count.delay("queued"), TaskResult[int])
assert_type(count.submit("queued").wait(), int)
assert_type(count.submit("queued").then(str), TaskResult[str])
assert_type(count.s("later"), TaskSignature[int])
assert_type(count.with_options(timeout_ms=5), Task[[str], int])
assert_type(system.add_task(count, "queued"), TaskResult[int])
assert_type(system.add_task(len, "queued"), TaskResult[int])

# Of an async def, the result is the awaited value.
assert_type(fetch, AsyncTask[[int], str])
assert_type(fetch.submit(1), TaskResult[str])
assert_type(fetch.submit(1).wait(), str)
assert_type(fetch.with_options(timeout_ms=5), AsyncTask[[int], str])
assert_type(system.add_task(fetch, 1), TaskResult[str])
assert_type(system.add_task(plain, 1), TaskResult[str])
assert_type(send.submit(1), TaskResult[bytes])
assert_type(store.submit(1), TaskResult[float])
assert_type(app.add_task(send, 1), TaskResult[bytes])
assert_type(app.add_task(store, 1), TaskResult[float])


async def main() -> None:
    assert_type(await fetch(1), str)
    assert_type(await fetch.submit(1), str)
    assert_type(await fetch.submit_async(1), TaskResult[str])
    assert_type(await (await fetch.submit_async(1)), str)
    assert_type(await (await system.add_task_async(fetch, 1)), str)
    assert_type(await (await system.add_task_async(count, "queued")), int)
    assert_type(await (await app.add_task_async(send, 1)), bytes)
    assert_type(await (await app.add_task_async(store, 1)), float)


# What does not fit is an error: an unused "type: ignore" would be one, too.
count.submit(1)  # type: ignore[arg-type]
fetch.submit("1")  # type: ignore[arg-type]

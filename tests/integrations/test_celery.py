"""Celery's calls, as code that moves from Celery writes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import NotEnabled, TaskPriority
from catzilla.conformance.rig import PATIENCE_S
from catzilla.integrations import celery_app
from catzilla.integrations.celery import (
    AsyncResult,
    Celery,
    MaxRetriesExceededError,
    Retry,
    TaskRevokedError,
    TimeLimitExceeded,
    Unsupported,
    chain,
    chord,
    group,
    shared_task,
)
from catzilla.testing import FrozenClock

UTC = timezone.utc  # noqa: UP017


@pytest.fixture
def app(system: TaskSystem) -> Celery:
    return Celery("tests", system=system)


@pytest.fixture
def add(app: Celery) -> Any:
    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def test_delay_and_the_result(app: Celery, add: Any) -> None:
    result = add.delay(2, y=3)
    assert isinstance(result, AsyncResult)
    assert result.get(timeout=PATIENCE_S) == 5
    assert (result.ready(), result.successful(), result.failed()) == (True, True, False)
    assert (result.state, result.status, result.result, result.info) == ("SUCCESS", "SUCCESS", 5, 5)
    assert result.traceback is None
    assert add(1, 1) == 2
    assert add.run(1, 1) == 2
    assert add.apply((4, 4)).result == 8
    assert result.id == result.task_id
    assert repr(app) == "<Celery tests: 1 tasks>"


def test_a_generator_function_is_refused(app: Celery) -> None:
    def rows(n: int) -> Iterator[int]:
        yield n

    for declare in (app.task, app.task(bind=True)):
        with pytest.raises(TypeError, match=r"rows cannot be a task: it is a generator function"):
            declare(rows)
    assert app.tasks == {}


def test_a_failure_and_its_traceback(app: Celery) -> None:
    @app.task(name="shop.broken")
    def broken() -> None:
        raise LookupError("on purpose")

    result = broken.delay()
    with pytest.raises(LookupError, match="on purpose"):
        result.get(timeout=PATIENCE_S)
    assert isinstance(result.get(propagate=False), LookupError)
    assert isinstance(result.result, LookupError)
    assert (result.state, result.failed(), result.successful()) == ("FAILURE", True, False)
    assert "LookupError: on purpose" in result.traceback
    assert "in broken" in result.traceback
    assert app.tasks["shop.broken"] is broken


def test_states_on_the_way(app: Celery) -> None:
    gate, running = threading.Event(), threading.Event()

    @app.task
    def work() -> int:
        running.set()
        gate.wait(PATIENCE_S)
        return 1

    later = work.apply_async(countdown=3_600)
    assert later.state == "PENDING"
    assert later.result is None
    assert later.revoke() is True
    assert later.state == "REVOKED"
    with pytest.raises(TaskRevokedError):
        later.get(timeout=PATIENCE_S)
    result = work.delay()
    assert running.wait(PATIENCE_S)
    assert result.state == "STARTED"
    with pytest.raises(TimeoutError):
        result.get(timeout=0)
    gate.set()
    assert result.get(timeout=PATIENCE_S) == 1
    result.forget()
    with pytest.raises(RuntimeError, match="forgotten"):
        result.get()


def test_countdown_eta_and_expires(app: Celery, add: Any) -> None:
    with FrozenClock(app.system, at=datetime(2030, 6, 1, 12, 0, tzinfo=UTC)) as clock:
        app.conf.timezone = "Europe/Berlin"  # two hours ahead in June
        results = [
            add.apply_async((1,), countdown=60),
            add.apply_async((1,), eta=datetime(2030, 6, 1, 12, 1, tzinfo=UTC)),
            add.apply_async((1,), eta=datetime(2030, 6, 1, 8, 1, tzinfo=ZoneInfo("America/New_York"))),
            add.apply_async((1,), eta=datetime(2030, 6, 1, 14, 1)),  # naive: the app's time zone
            add.signature((1,), countdown=60).delay(),
        ]
        expired = add.apply_async((1,), countdown=30, expires=20)
        clock.advance(59)
        assert [result.state for result in results] == ["PENDING"] * 5
        clock.advance(2)
        assert [result.get(timeout=PATIENCE_S) for result in results] == [1] * 5
        assert isinstance(expired.get(propagate=False), TaskRevokedError)
        assert expired.state == "REVOKED"


@pytest.mark.parametrize(
    ("highest", "lanes"),
    [
        (9, "LOW LOW LOW NORMAL NORMAL NORMAL HIGH HIGH HIGH CRITICAL"),
        (0, "CRITICAL HIGH HIGH HIGH NORMAL NORMAL NORMAL LOW LOW LOW"),
    ],
)
def test_priorities_become_lanes(app: Celery, add: Any, highest: int, lanes: str) -> None:
    app.conf.highest_priority = highest
    results = [add.apply_async((1,), priority=number) for number in range(10)]
    assert [result.handle.priority.name for result in results] == lanes.split()
    assert add.apply_async((1,), priority=TaskPriority.LOW).handle.priority is TaskPriority.LOW
    assert add.delay(1).handle.priority is TaskPriority.NORMAL
    for wrong, error in ((10, ValueError), ("high", TypeError)):
        with pytest.raises(error, match="priority"):
            add.apply_async((1,), priority=wrong)


def test_retry_in_a_bound_task(app: Celery) -> None:
    seen: list[int] = []

    @app.task(bind=True, max_retries=3, default_retry_delay=0)
    def flaky(self: Any, good_at: int) -> int:
        seen.append(self.request.retries)
        try:
            if self.request.retries < good_at:
                raise ConnectionError("not yet")
        except ConnectionError as exc:
            raise self.retry(exc=exc)  # noqa: B904
        return len(seen)

    assert flaky.delay(2).get(timeout=PATIENCE_S) == 3
    assert seen == [0, 1, 2]
    assert isinstance(flaky.delay(9).get(timeout=PATIENCE_S, propagate=False), ConnectionError)
    assert len(seen) == 3 + 4


def test_retry_without_a_reason_says_so_at_last(app: Celery) -> None:
    @app.task(bind=True)
    def again(self: Any) -> None:
        self.retry(countdown=0, max_retries=2)

    result = again.delay()
    assert isinstance(result.get(timeout=PATIENCE_S, propagate=False), MaxRetriesExceededError)
    assert result.handle.attempt == 3


def test_the_default_delay_of_a_retry(app: Celery) -> None:
    @app.task(bind=True)
    def once(self: Any) -> int:
        if self.request.retries == 0:
            self.retry()
        return 7

    with FrozenClock(app.system) as clock:
        result = once.delay()
        clock.advance(170)
        assert result.state == "RETRY"
        clock.advance(11)
        assert result.get(timeout=PATIENCE_S) == 7


def test_autoretry(app: Celery) -> None:
    attempts: list[int] = []

    @app.task(autoretry_for=(ConnectionError,), retry_kwargs={"max_retries": 2, "countdown": 0})
    def flaky(good_at: int) -> int:
        attempts.append(1)
        if len(attempts) < good_at:
            raise ConnectionError
        return len(attempts)

    assert flaky.delay(3).get(timeout=PATIENCE_S) == 3
    attempts.clear()
    assert isinstance(flaky.delay(9).get(timeout=PATIENCE_S, propagate=False), ConnectionError)
    assert len(attempts) == 3
    assert flaky.max_retries == 2


def test_backoffs(app: Celery) -> None:
    def work() -> None: ...

    doubling = app.task(autoretry_for=(OSError,), retry_backoff=2, retry_jitter=False, retry_backoff_max=9)(work)
    assert [doubling.options.retry_backoff(retry) for retry in (1, 2, 3)] == [2_000, 4_000, 8_000]
    assert doubling.options.retry_max_ms == 9_000
    jitter = app.task(autoretry_for=(OSError,), retry_backoff=True, max_retries=None)(work).options
    assert (jitter.retry_backoff, jitter.retry_base_ms, jitter.retry_max_ms) == ("exponential", 1_000, 600_000)
    assert jitter.max_retries >= 10**9
    fixed = app.task(default_retry_delay=5)(work).options
    assert (fixed.retry_backoff, fixed.retry_base_ms, fixed.retry_on) == ("fixed", 5_000, ())


def test_links_and_errbacks(app: Celery, add: Any) -> None:
    seen: list[Any] = []
    note = app.task(lambda *values: seen.append(values))
    broken = app.task(lambda: [][0])
    add.apply_async((2, 2), link=note.s("after"))
    broken.apply_async(link=note.s("no"), link_error=[note.s("error")])
    assert app.system.drain(PATIENCE_S)
    assert len(seen) == 2
    error, after = sorted(seen, key=lambda values: values[1] == "after")
    assert after == (4, "after")
    assert [type(value) for value in error] == [IndexError, str]


def test_canvas(app: Celery, add: Any) -> None:
    total = app.task(lambda values: sum(values))
    result = chain(add.s(1, 1), add.s(4))()
    assert isinstance(result, AsyncResult)
    assert result.get(timeout=PATIENCE_S) == 6
    assert result.parent is not None
    assert result.parent.get() == 2
    assert result.parent.parent is None
    longer = chain(add.s(1, 1), add.s(4), add.s(5))()
    assert longer.get(timeout=PATIENCE_S, interval=0.1, disable_sync_subtasks=False) == 11
    assert [longer.parent.get(), longer.parent.parent.get(), longer.parent.parent.parent] == [6, 2, None]
    partial = add.s(2)
    assert partial.clone((3,), countdown=0).delay().get(timeout=PATIENCE_S) == 5
    assert partial.delay(1).get(timeout=PATIENCE_S) == 3  # is as it was
    everything = group(add.s(n, n) for n in range(4)).apply_async()
    assert everything.get(timeout=PATIENCE_S) == everything.join() == [0, 2, 4, 6]
    assert (len(everything), everything.completed_count()) == (4, 4)
    assert [member.get() for member in everything] == [0, 2, 4, 6]
    assert chord([add.s(n, n) for n in range(4)])(total.s()).get(timeout=PATIENCE_S) == 12
    assert (add.s(1) | add.s(1).set(priority=9)).delay(5).get(timeout=PATIENCE_S) == 7
    assert add.map([1, 2]).delay().get(timeout=PATIENCE_S) == [1, 2]
    assert add.starmap([(1, 2)]).delay().get(timeout=PATIENCE_S) == [3]
    assert add.chunks([(1, 1), (2, 2)], 1).delay().get(timeout=PATIENCE_S) == [[2], [4]]


def test_eager_mode_runs_on_the_calling_thread(app: Celery, add: Any) -> None:
    app.conf.task_always_eager = True
    threads: list[str] = []

    @app.task(bind=True, max_retries=2)
    def where(self: Any, nested: bool = True) -> str:
        threads.append(threading.current_thread().name)
        if self.request.retries == 0:
            self.retry(countdown=3_600)
        if nested:
            where.delay(False).get()
        return "done"

    result = where.apply_async(countdown=3_600)
    assert result.ready()
    assert result.get(timeout=0) == "done"
    assert set(threads) == {threading.current_thread().name}
    assert len(threads) == 4
    assert chord([add.s(1), add.s(2)])(app.task(lambda values: sum(values)).s()).result == 3

    async def coroutine() -> int:
        return 5

    assert app.task(coroutine).delay().result == 5
    broken = app.task(lambda: [][0])
    assert broken.delay().failed()
    app.conf.task_eager_propagates = True
    with pytest.raises(IndexError):
        broken.delay()
    app.conf.update(task_always_eager=False)
    assert add.delay(1).get(timeout=PATIENCE_S) == 1


def test_a_time_limit(app: Celery) -> None:
    import asyncio

    @app.task(time_limit=0.01)
    async def slow() -> None:
        await asyncio.sleep(3_600)

    with pytest.raises(TimeLimitExceeded):
        slow.delay().get(timeout=PATIENCE_S)
    app.conf.task_time_limit = 0.02
    assert app.task(lambda: 1).options.timeout_ms == 20


def test_finding_by_id_and_by_name(open_system: Callable[..., TaskSystem]) -> None:
    app = Celery("tests", system=open_system(keep_results=5))
    task = app.task(name="shop.one")(lambda: 1)
    result = app.send_task("shop.one")
    task_id = result.id
    assert result.get(timeout=PATIENCE_S) == 1
    assert app.AsyncResult(task_id) == result
    assert {app.AsyncResult(task_id)} == {result}
    with pytest.raises(KeyError, match="keep_results"):
        app.AsyncResult("unknown")
    with pytest.raises(KeyError, match=r"shop\.one"):
        app.send_task("shop.two")
    assert task.delay() != result


def test_shared_tasks_belong_to_the_last_app(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    @shared_task(name="shared")
    def shared() -> int:
        return 3

    assert app.tasks["shared"].delay().get(timeout=PATIENCE_S) == 3
    monkeypatch.setattr(celery_app, "_current", [])
    with pytest.raises(NotEnabled, match="Celery"):
        shared_task(lambda: None)


@pytest.mark.parametrize(
    ("call", "alternative"),
    [
        (lambda app, task: Celery("x", broker="redis://"), "there is no broker"),
        (lambda app, task: Celery("x", backend="redis://"), "keep_results"),
        (lambda app, task: Celery("x", include=["a"]), "import the modules"),
        (lambda app, task: task.apply_async((1,), queue="mail"), "priority="),
        (lambda app, task: task.apply_async((1,), routing_key="mail"), "priority="),
        (lambda app, task: task.apply_async((1,), serializer="json"), "leave it out"),
        (lambda app, task: task.apply_async((1,), task_id="1"), r"result\.id"),
        (lambda app, task: app.task(acks_late=True)(lambda: 1), "autoretry_for"),
        (lambda app, task: app.task(soft_time_limit=1)(lambda: 1), "time_limit="),
        (lambda app, task: app.conf.update(task_routes={}), "TaskSystem of its own"),
        (lambda app, task: app.conf.update({"result_backend": "redis://"}), "keep_results"),
        (lambda app, task: setattr(app.conf, "broker_url", "redis://"), "no broker"),
        (lambda app, task: app.config_from_object({"beat_schedule": {}}), "add_schedule"),
        (lambda app, task: app.control, "stats"),
        (lambda app, task: app.worker_main(), "threads of this process"),
        (lambda app, task: app.start(), "threads of this process"),
        (lambda app, task: app.autodiscover_tasks(), "import the modules"),
        (lambda app, task: task.retry(args=(1,)), "apply_async"),
        (lambda app, task: task.retry(throw=False), "throw=False"),
    ],
)
def test_what_has_no_counterpart_names_the_alternative(
    app: Celery, add: Any, call: Callable[[Celery, Any], object], alternative: str
) -> None:
    with pytest.raises(Unsupported, match=alternative):
        call(app, add)
    assert app.system.stats().submitted == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda app: app.conf.update(nonsense=1), TypeError),
        (lambda app: app.conf.nonsense, AttributeError),
        (lambda app: app.conf.update(task_always_eager=1), TypeError),
        (lambda app: app.conf.update(highest_priority=5), ValueError),
        (lambda app: app.task(nonsense=1)(lambda: 1), TypeError),
        (lambda app: app.task(retry_kwargs={"nonsense": 1})(lambda: 1), TypeError),
        (lambda app: app.task("no function"), TypeError),
    ],
)
def test_mistakes_are_told(app: Celery, call: Callable[[Celery], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(app)


def test_settings(app: Celery, backend_name: str) -> None:
    app.config_from_object({"enable_utc": True, "task_default_priority": 9, "UPPER": 1})
    assert app.conf["timezone"] is UTC
    assert app.task(lambda: 1).options.priority is TaskPriority.CRITICAL
    with Celery("own", backend=backend_name, workers=1) as own:
        task = own.task(rate_limit="100/s", expires=timedelta(minutes=1), ignore_result=True)(lambda: 1)
        assert task.delay().get(timeout=PATIENCE_S) == 1
    assert own.system.closed
    assert issubclass(Retry, Exception)

"""What ``Catzilla`` adds to FastAPI, and what it leaves alone."""

from __future__ import annotations

import threading

import pytest
from fastapi import APIRouter, Depends, FastAPI

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import NotEnabled


@pytest.fixture
def app():
    app = Catzilla()
    yield app
    if app.tasks is not None:
        app.tasks.shutdown(timeout=5)


def double(x):
    return 2 * x


class TestEnabling:
    def test_twice_is_an_error(self, app):
        app.enable_background_tasks()
        with pytest.raises(RuntimeError, match="enabled already"):
            app.enable_background_tasks()

    @pytest.mark.parametrize(
        "call",
        [
            lambda app: app.add_task(double, 1),
            lambda app: app.add_tasks(double, [(1,)]),
            lambda app: app.get_task("id"),
            lambda app: app.get_task_stats(),
            lambda app: app.get_memory_stats(),
            lambda app: app.pause(TaskPriority.LOW),
            lambda app: app.resume(TaskPriority.LOW),
            lambda app: app.running(),
            lambda app: app.enable_dashboard(),
            lambda app: app.observe(None),
            lambda app: app.schedules(),
        ],
    )
    def test_every_call_before_it_names_it(self, app, call):
        with pytest.raises(NotEnabled, match=r"enable_background_tasks\(\)") as caught:
            call(app)
        assert isinstance(caught.value, RuntimeError)

    @pytest.mark.parametrize("call", ["enable_metrics", "enable_tracing"])
    def test_those_of_the_metrics_extra_name_themselves_too(self, app, call):
        pytest.importorskip("opentelemetry", reason="needs the metrics extra")
        pytest.importorskip("prometheus_client", reason="needs the metrics extra")
        with pytest.raises(NotEnabled, match=rf"^{call}\(\) needs background tasks: call app.enable_background_tasks"):
            getattr(app, call)()

    async def _add(self, app):
        return await app.add_task_async(double, 1)

    def test_the_awaitable_submit_before_it_names_it_too(self, app):
        with pytest.raises(NotEnabled, match=r"enable_background_tasks\(\)"):
            self._add(app).send(None)

    def test_a_bad_option_leaves_the_application_as_it_was(self, app):
        with pytest.raises(ValueError, match="queue_size"):
            app.enable_background_tasks(queue_size=0)
        with pytest.raises(TypeError, match="wrokers"):
            app.enable_background_tasks(wrokers=2)
        assert app.tasks is None
        app.enable_background_tasks(queue_size=10)
        assert app.tasks is not None

    def test_gives_the_system_and_its_very_own_submit(self, app):
        system = app.enable_background_tasks()
        assert system is app.tasks
        assert app.add_task is system.add_task

    def test_the_applications_arguments_are_its_defaults(self):
        app = Catzilla(memory_profiling=True, use_jemalloc=False, backend="python")
        config = app.enable_background_tasks().config
        assert (config.memory_profiling, config.use_jemalloc, config.backend) == (True, False, "python")

    def test_arguments_of_the_call_win_over_the_applications(self):
        app = Catzilla(memory_profiling=True, backend="no-such-backend")
        config = app.enable_background_tasks(memory_profiling=False, backend="python").config
        assert (config.memory_profiling, config.backend) == (False, "python")

    def test_the_environment_decides_what_no_argument_does(self, app, monkeypatch):
        monkeypatch.setenv("CATZILLA_USE_JEMALLOC", "0")
        monkeypatch.setenv("CATZILLA_WORKERS", "3")
        config = app.enable_background_tasks().config
        assert (config.use_jemalloc, config.workers) == (False, 3)


class TestTasks:
    def test_decorated_before_enabling_runs_after(self, app):
        @app.task
        def bare(x):
            return x + 1

        @app.task(priority=TaskPriority.HIGH)
        def with_options(x):
            return x + 2

        with pytest.raises(NotEnabled, match=r"enable_background_tasks\(\)"):
            bare.submit(1)
        assert bare(1) == 2  # in place, without any system

        app.enable_background_tasks()
        assert app.add_task(bare, 1).wait(PATIENCE_S) == 2
        assert bare.submit(1).wait(PATIENCE_S) == 2
        assert with_options.submit(1).wait(PATIENCE_S) == 3

    def test_a_plain_function_needs_no_decorator(self, app):
        app.enable_background_tasks()
        assert app.add_task(double, 21).wait(PATIENCE_S) == 42

    def test_many_at_once(self, app):
        app.enable_background_tasks()
        assert app.add_tasks(double, [(1,), (2,), (3,)]).wait(PATIENCE_S) == [2, 4, 6]

    def test_by_id_while_pending_and_when_kept(self, app):
        app.enable_background_tasks(keep_results=1)
        app.pause(TaskPriority.NORMAL)
        first, second = app.add_task(double, 1), app.add_task(double, 2)
        ids = first.task_id, second.task_id
        assert [app.get_task(task_id) for task_id in ids] == [first, second]
        app.resume(TaskPriority.NORMAL)
        assert app.tasks.drain(timeout=PATIENCE_S)
        eventually(
            lambda: sorted(app.get_task(task_id) is None for task_id in ids) == [False, True], "one of them is kept"
        )
        assert app.get_task("never was") is None

    def test_those_that_run_are_listed(self, app):
        app.enable_background_tasks()
        started, gate = threading.Event(), threading.Event()

        def wait_at_gate():
            started.set()
            assert gate.wait(PATIENCE_S)

        result = app.add_task(wait_at_gate)
        assert started.wait(PATIENCE_S)
        assert len(app.running()) == 1
        gate.set()
        result.wait(PATIENCE_S)
        assert app.tasks.drain(timeout=PATIENCE_S)
        eventually(lambda: app.running() == [], "none runs")

    @pytest.mark.parametrize("early", [True, False])
    def test_failures_reach_the_hook_whenever_it_was_set(self, app, early):
        seen = []
        told = threading.Event()

        def hook(result):
            seen.append(result)
            told.set()

        if early:
            assert app.on_task_failure(hook) is hook
        app.enable_background_tasks()
        if not early:
            assert app.on_task_failure(hook) is hook

        result = app.add_task(int, "x")
        assert isinstance(result.exception(PATIENCE_S), ValueError)
        assert told.wait(PATIENCE_S)
        assert seen == [result]


class TestFigures:
    def test_statistics_and_memory_are_the_systems(self, app):
        app.enable_background_tasks()
        app.add_task(double, 1).wait(PATIENCE_S)
        assert app.get_task_stats().submitted == 1
        assert app.get_memory_stats().keys() == app.tasks.memory_stats().keys()

    def test_has_jemalloc_says_what_the_allocator_says(self, app):
        assert app.has_jemalloc is False
        app.enable_background_tasks()
        memory = app.get_memory_stats()
        assert app.has_jemalloc is (memory["allocator"] == "jemalloc")
        assert app.has_jemalloc is memory["jemalloc_enabled"]


class TestItIsFastAPI:
    def test_title(self):
        assert Catzilla("Shop").title == "Shop"
        assert Catzilla(title="Shop").title == "Shop"
        assert Catzilla().title == FastAPI().title
        with pytest.raises(TypeError, match="title"):
            Catzilla("Shop", title="Shop")

    def test_its_keywords_are_fastapis(self):
        app = Catzilla(docs_url=None, version="7")
        assert isinstance(app, FastAPI)
        assert (app.docs_url, app.version) == (None, "7")

    def test_parameters_of_the_task_system_have_their_place(self):
        with pytest.raises(TypeError, match=r"give it to app\.enable_background_tasks\(workers=\.\.\.\)"):
            Catzilla(workers=3)

    def test_routers_mounts_overrides_and_schema(self, app, client_of):
        # Given an application of several parts, as FastAPI users build them
        router, inner = APIRouter(), FastAPI()

        def language() -> str:
            return "en"

        @router.get("/hello")
        def hello(language: str = Depends(language)) -> str:
            return language

        @inner.get("/hello")
        def inner_hello() -> str:
            return "inner"

        app.enable_background_tasks()
        app.include_router(router, prefix="/api")
        app.mount("/mounted", inner)
        app.dependency_overrides[language] = lambda: "de"

        # Then each part is where FastAPI puts it
        with client_of(app) as client:
            assert client.get("/api/hello").json() == "de"
            assert client.get("/mounted/hello").json() == "inner"
            assert list(client.get("/openapi.json").json()["paths"]) == ["/api/hello"]

    def test_mounted_in_another_application_its_tasks_run(self, app, client_of):
        # Given: nobody runs the lifespan of a mounted application
        app.enable_background_tasks()
        app.post("/double")(lambda x: app.add_task(double, int(x)).wait(PATIENCE_S))
        outer = FastAPI()
        outer.mount("/inner", app)
        with client_of(outer) as client:
            assert client.post("/inner/double", params={"x": 4}).json() == 8

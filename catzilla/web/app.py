"""``Catzilla``: FastAPI with background tasks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, overload

from fastapi import FastAPI

from catzilla.batch import BatchResult
from catzilla.errors import NotEnabled
from catzilla.handle import TaskResult
from catzilla.parameters import PARAMETERS
from catzilla.priority import TaskPriority
from catzilla.stats import SystemStats
from catzilla.system import TaskSystem
from catzilla.task import AsyncTask, Task, TaskDecorator, make_task
from catzilla.web.lifespan import BackgroundLifespan

if TYPE_CHECKING:
    from typing import Unpack

    from catzilla.buffers import BufferResult
    from catzilla.config import SystemOptions
    from catzilla.observe.events import Observer
    from catzilla.observe.live import ShowArguments
    from catzilla.schedules.options import ScheduleOptions
    from catzilla.schedules.schedule import Schedule

P = ParamSpec("P")
R = TypeVar("R")

# Once there is a system, these are the system's own: its add_task is a native callable, and a
# method of ours in between would cost more than the submit itself.
_FROM_SYSTEM = ("add_task", "add_tasks", "add_task_async")


class Catzilla(FastAPI):
    """A FastAPI application whose tasks run in the background of its own process.

    ``title`` and every keyword that is not named here are FastAPI's. ``use_jemalloc`` (True leaves
    it to ``CATZILLA_USE_JEMALLOC``), ``memory_profiling`` and ``backend`` are defaults for
    ``enable_background_tasks()``.
    """

    tasks: TaskSystem | None
    """The task system; None until ``enable_background_tasks()``."""

    def __init__(
        self,
        title: str | None = None,
        /,
        *,
        use_jemalloc: bool = True,
        memory_profiling: bool = False,
        backend: str | None = None,
        **fastapi_kwargs: Any,
    ) -> None:
        if title is not None:
            if "title" in fastapi_kwargs:
                raise TypeError("Catzilla() got two titles: a positional one and title=")
            fastapi_kwargs["title"] = title
        misplaced = [name for name in fastapi_kwargs if name in PARAMETERS]
        if misplaced:  # some releases of FastAPI take any keyword and do nothing with it
            raise TypeError(
                f"{misplaced[0]} is a parameter of the task system: give it to "
                f"app.enable_background_tasks({misplaced[0]}=...), not to Catzilla()"
            )
        super().__init__(**fastapi_kwargs)
        self.tasks = None
        # Only what differs from the default is handed on, so that the environment is still asked for the rest.
        self._task_defaults: dict[str, Any] = {
            **({} if use_jemalloc else {"use_jemalloc": False}),
            **({"memory_profiling": True} if memory_profiling else {}),
            **({} if backend is None else {"backend": backend}),
        }
        self._failure_hooks: list[Callable[..., object]] = []
        self._schedules: list[tuple[Task[Any, Any], ScheduleOptions]] = []
        self._background_lifespan = BackgroundLifespan(self)
        self.router.lifespan_context = self._background_lifespan.wrap(self.router.lifespan_context)

    def build_middleware_stack(self) -> Any:
        # Called once, before the first start. Included routers have put their lifespans around ours
        # by now; tasks must drain while these still hold what they opened, so ours goes outermost.
        self.router.lifespan_context = self._background_lifespan.wrap(self.router.lifespan_context)
        return super().build_middleware_stack()

    def enable_background_tasks(self, **options: Unpack[SystemOptions]) -> TaskSystem:
        """Make the task system, with the options of ``TaskSystem``, and return it. Once per application.

        Its threads start with the first task, not here. RuntimeError: it is enabled already.
        """
        if self.tasks is not None:
            raise RuntimeError("background tasks are enabled already: call enable_background_tasks() only once")
        tasks = TaskSystem(**{**self._task_defaults, **options})
        for hook in self._failure_hooks:
            tasks.on_task_failure(hook)
        self._take_calls(tasks)
        tasks.on_rebind.append(self._take_calls)
        self.tasks = tasks
        for task, schedule in self._schedules:
            self._add_schedule(tasks, task, schedule)
        return tasks

    def take_schedule(self, task: Task[Any, Any], options: ScheduleOptions) -> None:
        """``@app.task(every=...)``: it runs from the server's start to its end."""
        if self.tasks is None:
            from catzilla.schedules.scheduler import check_call

            check_call(task, ())
            self._schedules.append((task, options))
        else:
            self._add_schedule(self.tasks, task, options)

    @staticmethod
    def _add_schedule(tasks: TaskSystem, task: Task[Any, Any], options: ScheduleOptions) -> None:
        tasks.make_scheduler().add(task, options, task.receiver, None)

    def add_schedule(self, fn: Any, /, *args: Any, name: str | None = None, **schedule: Any) -> Schedule:
        """Call ``fn(*args)`` by the clock, ``every=`` or ``cron=``, from the server's start to its end."""
        return self._enabled("add_schedule").declare_schedule(fn, args, name, schedule)

    def schedules(self) -> list[Schedule]:
        """What runs by the clock, to look at, pause and resume."""
        return self._enabled("schedules").schedules()

    def _take_calls(self, tasks: TaskSystem) -> None:
        # Asked again after a fork, when the child's engine has made new ones.
        for name in _FROM_SYSTEM:
            setattr(self, name, getattr(tasks, name))

    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, **options: Any) -> TaskDecorator: ...

    def task(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a task of a function: ``@app.task`` or ``@app.task(priority=...)``, also before enabling."""
        return make_task(fn, self, **options)

    @overload
    def add_task(self, fn: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **options: Any) -> TaskResult[R]: ...

    @overload
    def add_task(self, fn: Callable[..., R], /, *args: Any, **options: Any) -> TaskResult[R]: ...

    def add_task(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> TaskResult[Any]:
        """Queue a call of ``fn``. Raises NotEnabled (a RuntimeError) before ``enable_background_tasks()``."""
        _not_enabled("add_task")

    @overload
    def add_tasks(
        self, fn: Callable[..., R] | Task[..., R], rows: Iterable[tuple[Any, ...]], /, **options: Any
    ) -> BatchResult[R]: ...
    @overload
    def add_tasks(
        self, fn: Callable[..., R] | Task[..., R], /, *, buffers: Sequence[Any], out: Any = None, **options: Any
    ) -> BufferResult[Any]: ...
    def add_tasks(self, fn: Any, rows: Any = None, /, *, buffers: Any = None, out: Any = None, **options: Any) -> Any:
        """Queue one call for each row of positional arguments: all or none; or for each element of buffers."""
        _not_enabled("add_tasks")

    @overload
    async def add_task_async(
        self, fn: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **options: Any
    ) -> TaskResult[R]: ...

    @overload
    async def add_task_async(self, fn: Callable[..., R], /, *args: Any, **options: Any) -> TaskResult[R]: ...

    async def add_task_async(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> TaskResult[Any]:
        """``add_task`` that waits for room, where it must, without blocking the event loop."""
        _not_enabled("add_task_async")

    def get_task(self, task_id: str) -> TaskResult[Any] | None:
        """The task of this id: one that is not finished, or among the last ``keep_results``. None: not known."""
        return self._enabled("get_task").get_task(task_id)

    def get_task_stats(self) -> SystemStats:
        """What the system measures of its tasks, queues, workers and memory, now."""
        return self._enabled("get_task_stats").stats()

    def get_memory_stats(self) -> dict[str, Any]:
        """What the system measures of the engine's own memory, now. None stands for what cannot be measured."""
        return self._enabled("get_memory_stats").memory_stats()

    @property
    def has_jemalloc(self) -> bool:
        """Whether the engine's memory is on jemalloc. False before enabling."""
        return self.tasks is not None and self.tasks.allocator_name == "jemalloc"

    def on_task_failure(self, fn: Callable[..., R]) -> Callable[..., R]:
        """Call ``fn`` for each task that fails. Usable as a decorator, also before enabling."""
        if self.tasks is None:
            self._failure_hooks.append(fn)
        else:
            self.tasks.on_task_failure(fn)
        return fn

    def cancel_group(self, group: str) -> int:
        """Cancel the tasks that were submitted with ``cancel_group=group``; how many were."""
        return self._enabled("cancel_group").cancel_group(group)

    def pause(self, *lanes: TaskPriority) -> None:
        """Start nothing more from these lanes."""
        self._enabled("pause").pause(*lanes)

    def resume(self, *lanes: TaskPriority) -> None:
        """Start tasks from these lanes again."""
        self._enabled("resume").resume(*lanes)

    def running(self) -> list[Any]:
        """The tasks that run now."""
        return self._enabled("running").running()

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of every task from now on. See ``catzilla.observe.Observer``."""
        self._enabled("observe").observe(observer)

    def enable_metrics(self, path: str = "/metrics") -> None:
        """Serve the metrics of this application's tasks to Prometheus at ``path``.

        Needs the ``metrics`` extra (ImportError without it). For a registry of your own, register
        ``catzilla.observe.prometheus.CatzillaCollector(app.tasks)`` with it instead.
        """
        from catzilla.web.metrics import add_metrics

        add_metrics(self, self._enabled("enable_metrics"), path)

    def enable_dashboard(
        self,
        path: str = "/tasks",
        *,
        auth: Callable[..., Any] | None = None,
        show_arguments: ShowArguments | None = None,
        keep_failures: int = 50,
    ) -> None:
        """Serve a live page of the tasks at ``path``; what belongs to it lies below ``<path>/-/``.

        ``auth`` is a FastAPI dependency that raises for who may not see it: with it, the page can pause,
        resume, cancel and retry. Without it everybody may look, and nobody may do anything.
        ``show_arguments``: True, False, or a function of (task name, positional arguments, keyword arguments)
        that gives the text to show; None: only with ``auth``. ``keep_failures``: how many it remembers.
        """
        from catzilla.web.dashboard import add_dashboard

        add_dashboard(self, self._enabled("enable_dashboard"), path, auth, show_arguments, keep_failures)

    def enable_tracing(self, tracer_provider: Any = None) -> None:
        """OpenTelemetry spans of every task, in the trace of the request that submits it.

        ``tracer_provider`` None: the global one. Needs the ``metrics`` extra (ImportError without it).
        """
        from catzilla.observe.tracing import TaskTracer

        self._enabled("enable_tracing").observe(TaskTracer(tracer_provider))

    def _enabled(self, call: str) -> TaskSystem:
        return self.tasks if self.tasks is not None else _not_enabled(call)


def _not_enabled(call: str) -> NoReturn:
    raise NotEnabled(f"{call}() needs background tasks: call app.enable_background_tasks() first")

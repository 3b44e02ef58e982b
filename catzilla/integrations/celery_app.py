"""``Celery``: the application object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from catzilla.canvas import WorkflowResult
from catzilla.errors import NotEnabled
from catzilla.integrations.celery_conf import Conf
from catzilla.integrations.celery_options import task_options
from catzilla.integrations.celery_result import AsyncResult
from catzilla.integrations.celery_task import CeleryTask
from catzilla.integrations.in_place import run_until_done
from catzilla.integrations.unsupported import Unsupported
from catzilla.options import DEFAULTS
from catzilla.plan import refuse_generator
from catzilla.system import TaskSystem

_NO_WORKER = "there is no worker to start or control: tasks run on threads of this process, from the first one on"
_current: list[Celery] = []


class Celery:
    """``Celery("name", **options of TaskSystem)``, or on a system there is already: ``Celery("name", system=...)``.

    ``app.system`` is the TaskSystem. Raises Unsupported for broker= and a result backend's URL.
    """

    def __init__(
        self,
        main: str | None = None,
        *,
        broker: str | None = None,
        include: Any = None,
        system: TaskSystem | None = None,
        **options: Any,
    ) -> None:
        if broker is not None:
            raise Unsupported(f"Celery(broker={broker!r}): there is no broker; leave it out, tasks run in this process")
        if "://" in str(options.get("backend", "")):
            raise Unsupported(
                f"Celery(backend={options['backend']!r}): there is no result backend; leave it out. A result lives as "
                "long as its AsyncResult; for finding it by id give keep_results=n"
            )
        if include is not None:
            raise Unsupported("Celery(include=...): there is no worker that would import them; import the modules")
        self.main = main
        self.system = TaskSystem(**options) if system is None else system
        self.conf = Conf(self._conf_changed)
        self.tasks: dict[str, CeleryTask] = {}
        _current[:] = [self]

    def _conf_changed(self, name: str, value: Any) -> None:
        if name == "task_always_eager":
            if value:
                self.system.pause()  # nothing but the caller runs them
            else:
                self.system.resume()

    def task(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``@app.task``, bare or with Celery's options."""
        if fn is None:
            return lambda function: self._make(function, options)
        return self._make(fn, options)

    def _make(self, fn: Callable[..., Any], given: dict[str, Any]) -> CeleryTask:
        if not callable(fn):
            raise TypeError(f"a task must be callable, and {fn!r} is not")
        refuse_generator(fn)
        options, delay_s = task_options(self.conf, given)
        task = CeleryTask(fn, self.system, DEFAULTS.changed(options), app=self, default_retry_delay=delay_s)
        self.tasks[task.name] = task
        return task

    def result_of(self, result: Any) -> AsyncResult:
        """For every call of its tasks; in eager mode, run it first."""
        if self.conf.task_always_eager:
            run_until_done(self.system, result.handle if isinstance(result, WorkflowResult) else result)
            if self.conf.task_eager_propagates:
                result.wait(0)
        return AsyncResult(result)

    def AsyncResult(self, task_id: str) -> AsyncResult:
        """Of a task that is not finished, or among the last ``keep_results``. KeyError: it is neither."""
        handle = self.system.get_task(task_id)
        if handle is None:
            raise KeyError(
                f"no task {task_id!r}: it is finished and not among the last keep_results="
                f"{self.system.config.keep_results}, or of another process; see Celery(..., keep_results=n)"
            )
        return AsyncResult(handle)

    def send_task(
        self, name: str, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """``apply_async`` of the task of this name. KeyError: it was not declared in this process."""
        task = self.tasks.get(name)
        if task is None:
            raise KeyError(
                f"no task {name!r} in this process, and there are no others; known are: {', '.join(self.tasks)}"
            )
        return task.apply_async(args, kwargs, **options)

    def config_from_object(self, source: Any) -> None:
        """Take the settings that are attributes (lower case) of an object, or items of a dict."""
        values = source if isinstance(source, Mapping) else vars(source)
        self.conf.update({name: value for name, value in values.items() if name.islower() and name[0] != "_"})

    def close(self) -> None:
        """Run what is queued, and end."""
        self.system.shutdown()

    @property
    def control(self) -> NoReturn:
        raise Unsupported(f"app.control: {_NO_WORKER}; see app.system.stats(), result.revoke(), app.system.pause()")

    def worker_main(self, *_: Any) -> NoReturn:
        raise Unsupported(f"app.worker_main(): {_NO_WORKER}")

    def start(self, *_: Any) -> NoReturn:
        raise Unsupported(f"app.start(): {_NO_WORKER}")

    def autodiscover_tasks(self, *_: Any, **__: Any) -> NoReturn:
        raise Unsupported("app.autodiscover_tasks(): import the modules that declare tasks; no worker does it for you")

    def __enter__(self) -> Celery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Celery {self.main}: {len(self.tasks)} tasks>"


def shared_task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """``app.task`` of the application made last. NotEnabled (a RuntimeError): there is none yet."""
    if not _current:
        raise NotEnabled("shared_task needs an application: make app = Celery(...) before importing this module")
    return _current[0].task(fn, **options)

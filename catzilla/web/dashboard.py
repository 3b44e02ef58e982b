"""``app.enable_dashboard``: a page that shows what the tasks do, and lets who may pause, cancel and retry.

Everything but the page itself lies below ``<path>/-/``, where no ``<path>/{task_id}`` of the application
reaches. The page asks nobody else for anything.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Depends, Header, HTTPException, Response
from pydantic import BaseModel

from catzilla.errors import ConfigTypeError, ConfigValueError, SystemClosed
from catzilla.log import logger
from catzilla.observe.live import LiveView
from catzilla.priority import TaskPriority
from catzilla.web.paths import checked_path

if TYPE_CHECKING:
    from fastapi import FastAPI

    from catzilla.system import TaskSystem

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FILES: Final = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "elements.js": "text/javascript",
    "format.js": "text/javascript",
}


class Action(BaseModel):
    """What a click asks for."""

    action: Literal["pause", "resume", "cancel", "retry", "pause_schedule", "resume_schedule"]
    target: str
    """A lane, a task's id, a failure's key or a schedule's name."""


def add_dashboard(
    app: FastAPI,
    tasks: TaskSystem,
    path: str,
    auth: Any,
    show_arguments: Any,
    keep_failures: Any,
) -> LiveView:
    checked_path(app, "enable_dashboard", path)
    if auth is not None and not callable(auth):
        raise ConfigTypeError(f"enable_dashboard(auth={auth!r}): it must be a dependency, a callable, or None")
    if show_arguments is not None and not isinstance(show_arguments, bool) and not callable(show_arguments):
        raise ConfigTypeError(
            f"enable_dashboard(show_arguments={show_arguments!r}): it must be True, False, or a function of "
            "(task name, positional arguments, keyword arguments) that gives a text"
        )
    if isinstance(keep_failures, bool) or not isinstance(keep_failures, int) or not 0 <= keep_failures <= 10_000:
        raise ConfigValueError(f"enable_dashboard(keep_failures={keep_failures!r}): it must be an int from 0 to 10000")
    # Without a way to know who asks, arguments are nobody's business.
    view = LiveView(tasks, auth is not None if show_arguments is None else show_arguments, keep_failures)
    tasks.observe(view)
    static = files("catzilla.web").joinpath("static")
    base = path.rpartition("/")[2] + "/-"  # relative: a proxy may serve us below a path of its own
    page = static.joinpath("dashboard.html").read_text(encoding="utf-8").replace("{base}", base)

    def show_page() -> Response:
        return Response(page, media_type="text/html", headers=_HEADERS)

    def show_file(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404, f"there is no {name}")
        text = static.joinpath(name).read_text(encoding="utf-8")
        return Response(text, media_type=_FILES[name], headers=_HEADERS)

    def snapshot() -> dict[str, Any]:
        return {"title": app.title, "actions": auth is not None, **view.snapshot()}

    def act(action: Action, x_catzilla: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        # A page of another origin cannot send this header along: nobody's cookies are abused.
        if x_catzilla is None:
            raise HTTPException(403, "send the header X-Catzilla (with anything) with an action")
        return {"done": _act(tasks, view, action)}

    def refuse() -> None:
        raise HTTPException(
            403, "this dashboard is read-only, as it asks nobody who they are: enable_dashboard(auth=...)"
        )

    guard = [] if auth is None else [Depends(auth)]
    route: dict[str, Any] = {"include_in_schema": False, "dependencies": guard}
    app.add_api_route(path, show_page, methods=["GET"], **route)
    app.add_api_route(f"{path}/-/snapshot", snapshot, methods=["GET"], **route)
    app.add_api_route(f"{path}/-/{{name}}", show_file, methods=["GET"], **route)
    app.add_api_route(f"{path}/-/actions", refuse if auth is None else act, methods=["POST"], **route)
    if auth is None:
        logger.info("the dashboard at %s is read-only and open to everybody: enable_dashboard(auth=...)", path)
    return view


def _act(tasks: TaskSystem, view: LiveView, action: Action) -> str:
    """Do it, and say what was done; HTTPException if it cannot be."""
    target = action.target
    try:
        if action.action in ("pause", "resume"):
            if target not in TaskPriority.__members__:
                raise HTTPException(404, f"there is no lane {target}: {', '.join(TaskPriority.__members__)}")
            change = tasks.pause if action.action == "pause" else tasks.resume
            change(TaskPriority[target])
            return f"Lane {target} {'is paused' if action.action == 'pause' else 'goes on'}"
        if action.action == "cancel":
            task = tasks.get_task(target)
            if task is None:
                raise HTTPException(404, f"task {target} is not pending or running any more")
            return f"Task {target} was {'cancelled' if task.cancel() else 'asked to end'}"
        if action.action == "retry":
            return f"Submitted again as {view.retry(target).task_id}"
        for schedule in tasks.schedules():
            if schedule.name == target:
                (schedule.pause if action.action == "pause_schedule" else schedule.resume)()
                return f"Schedule {target} {'is paused' if action.action == 'pause_schedule' else 'goes on'}"
        raise HTTPException(404, f"there is no schedule {target}")
    except (ConfigValueError, SystemClosed) as error:
        raise HTTPException(409, str(error)) from error

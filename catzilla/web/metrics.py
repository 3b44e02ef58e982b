"""``app.enable_metrics``: one address that Prometheus scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Response

from catzilla.web.paths import checked_path

if TYPE_CHECKING:
    from fastapi import FastAPI

    from catzilla.system import TaskSystem


def add_metrics(app: FastAPI, tasks: TaskSystem, path: str) -> None:
    from catzilla.observe.prometheus import exposition, generate_latest

    checked_path(app, "enable_metrics", path)
    registry, content_type = exposition(tasks)

    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": content_type})

    app.add_api_route(path, metrics, methods=["GET"], include_in_schema=False)

"""What Prometheus gets."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="needs the metrics extra")
pytest.importorskip("fastapi", reason="needs the web extra")

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from catzilla import Catzilla, TaskSystem
from catzilla.background_tasks import TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import ConfigValueError, NotEnabled
from catzilla.observe.prometheus import CatzillaCollector

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


def scrape(client: Any, path: str = "/metrics") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_scrape_has_everything_and_parses(backend_name: str) -> None:
    app = Catzilla(backend=backend_name)
    app.enable_background_tasks(workers=2, enable_auto_scaling=False)
    app.enable_metrics("/metrics")

    def fails() -> None:
        raise ValueError("no")

    with TestClient(app) as client:
        app.add_tasks(abs, [(-1,), (-2,)], name="works").wait(PATIENCE_S)
        app.add_task(fails, name="fails").exception(PATIENCE_S)
        app.pause(TaskPriority.LOW)
        waiting = app.add_task(abs, 1, priority=TaskPriority.LOW)
        done = key("catzilla_tasks_finished_total", task="works", outcome="completed")
        failed = key("catzilla_tasks_finished_total", task="fails", outcome="failed")
        eventually(lambda: (scrape(client).get(done), scrape(client).get(failed)) == (2, 1), "observers know")
        samples = scrape(client)
        assert samples[key("catzilla_task_duration_seconds_count", task="works")] == 2
        assert samples[key("catzilla_task_wait_seconds_count", task="works")] == 2
        assert samples[key("catzilla_task_duration_seconds_bucket", task="works", le="+Inf")] == 2
        assert samples[key("catzilla_queue_depth", lane="low")] == 1
        assert samples[key("catzilla_queue_depth", lane="critical")] == 0
        assert samples[key("catzilla_queue_oldest_age_seconds", lane="low")] >= 0
        assert {key("catzilla_workers", state=state) for state in ("active", "idle", "reserve", "stuck")} <= set(
            samples
        )
        assert samples[key("catzilla_workers", state="active")] + samples[key("catzilla_workers", state="idle")] == 2
        assert samples[key("catzilla_tasks_submitted_total")] == 4
        assert samples[key("catzilla_backend_info", backend=backend_name, allocator=app.tasks.allocator_name)] == 1
        assert any(name == "catzilla_allocator_bytes" for name, _ in samples)
        waiting.cancel()


def test_a_registry_of_ones_own(system: TaskSystem) -> None:
    registry = CollectorRegistry()
    registry.register(CatzillaCollector(system))
    system.add_task(abs, -1, name="one").wait(PATIENCE_S)
    labels = {"task": "one", "outcome": "completed"}
    eventually(lambda: registry.get_sample_value("catzilla_tasks_finished_total", labels) == 1.0, "observers know")


def test_where_it_cannot_be() -> None:
    app = Catzilla()
    with pytest.raises(NotEnabled, match=r"enable_background_tasks\(\)"):
        app.enable_metrics()
    app.enable_background_tasks()
    for path in ("metrics", "/metrics/", "/{x}"):
        with pytest.raises(ConfigValueError, match="begin with a slash"):
            app.enable_metrics(path)
    app.get("/metrics")(lambda: None)
    with pytest.raises(ConfigValueError, match="already"):
        app.enable_metrics("/metrics")


def test_importing_catzilla_imports_nothing_of_it() -> None:
    program = """if True:
        import sys
        from catzilla import TaskSystem
        with TaskSystem(workers=1) as system:
            assert system.add_task(abs, -1).wait(30) == 1
        print([name for name in sys.modules if name.startswith(("catzilla.observe", "prometheus", "opentelemetry"))])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "[]"

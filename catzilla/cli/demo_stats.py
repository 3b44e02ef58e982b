"""How ``demo`` shows statistics: by what they are of, under the names that ``SystemStats`` gives them."""

from __future__ import annotations

from typing import Any

LIVE = ("completed", "total_queued", "active_workers", "total_workers", "tasks_per_second")

_GROUPS = {
    "throughput": ("tasks_per_second", "uptime_seconds"),
    "execution": (
        "avg_execution_time_ms",
        "p50_execution_time_ms",
        "p95_execution_time_ms",
        "p99_execution_time_ms",
    ),
    "waiting": ("p95_queue_wait_ms", "p99_queue_wait_ms", "oldest_ready_age_ms"),
    "queues": (
        "critical_queue_size",
        "high_queue_size",
        "normal_queue_size",
        "low_queue_size",
        "total_queued",
        "parked",
        "queue_pressure",
    ),
    "workers": (
        "active_workers",
        "idle_workers",
        "total_workers",
        "reserve_workers",
        "stuck_workers",
        "avg_worker_utilization",
        "workers_added",
        "workers_removed",
        "steals",
    ),
    "tasks": (
        "submitted",
        "completed",
        "failed",
        "cancelled",
        "timed_out",
        "retried",
        "dropped",
        "rejected",
        "deduplicated",
        "unretrieved_failures",
    ),
    "compiler": ("compiled_tasks", "native_executions", "deopts"),
    "memory": ("memory_usage_mb", "memory_efficiency", "allocator"),
    "engine": ("backend",),
}


def live_row(stats: dict[str, Any]) -> list[str]:
    return [figure(stats[name]) for name in LIVE]


def figures(stats: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Every figure that was measured; None stands for one that this backend does not measure."""
    left = {name: value for name, value in stats.items() if value is not None}
    rows = []
    for group, names in _GROUPS.items():
        shown = [(name, left.pop(name)) for name in names if name in left]
        rows += _rows(group, shown)
    return rows + _rows("other", list(left.items()))


def _rows(group: str, shown: list[tuple[str, Any]]) -> list[tuple[str, str, str]]:
    return [(group if first == 0 else "", name, figure(value)) for first, (name, value) in enumerate(shown)]


def figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)

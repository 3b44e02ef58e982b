"""What ``catzilla top`` shows: tables of text, made from a snapshot (observe/live.py) or from bare statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Section = tuple[str, Sequence[str], Sequence[Sequence[str]]]
MOST_ROWS: Final = 12
NONE: Final = "–"  # noqa: RUF001  (what was not measured)


def sections(snapshot: dict[str, Any]) -> list[Section]:
    shown = [_overview(snapshot["stats"])]
    if "lanes" not in snapshot:
        stats = snapshot["stats"]
        lanes = [[name, count(stats[f"{name}_queue_size"])] for name in ("critical", "high", "normal", "low")]
        return [*shown, ("Lanes", ("lane", "waiting"), lanes)]
    shown.append(_lanes(snapshot["lanes"]))
    shown.append(_tasks(snapshot["tasks"]))
    busy = [worker for worker in snapshot["workers"] if worker["task"]]
    if busy:
        shown.append(_workers(busy, len(snapshot["workers"])))
    if snapshot["failures"]:
        shown.append(_failures(snapshot["failures"], snapshot["time"]))
    if snapshot["schedules"]:
        shown.append(_schedules(snapshot["schedules"], snapshot["time"]))
    return shown


def _overview(stats: dict[str, Any]) -> Section:
    title = f"{stats['backend']} on {stats['allocator']}, up {duration(stats['uptime_seconds'])}"
    header = (
        "per second",
        "waiting",
        "busy",
        "completed",
        "failed",
        "timed out",
        "retries",
        "p50",
        "p99",
        "memory",
    )
    memory_mb = stats["memory_usage_mb"]
    row = (
        f"{stats['tasks_per_second']:,.1f}",
        count(stats["total_queued"]),
        f"{stats['active_workers']} of {stats['total_workers']}",
        count(stats["completed"]),
        count(stats["failed"]),
        count(stats["timed_out"]),
        count(stats["retried"]),
        duration(_seconds(stats["p50_execution_time_ms"])),
        duration(_seconds(stats["p99_execution_time_ms"])),
        NONE if memory_mb is None else f"{memory_mb:,.0f} MiB",
    )
    return title, header, [row]


def _lanes(lanes: list[dict[str, Any]]) -> Section:
    header = ("lane", "waiting", "oldest", "wait p50", "p95", "p99", "run p50", "p95", "p99", "state")
    rows = [
        (
            lane["name"].lower(),
            count(lane["queued"]),
            duration(lane["oldest_s"]),
            *(duration(lane["wait"][f"{name}_s"]) for name in ("p50", "p95", "p99")),
            *(duration(lane["duration"][f"{name}_s"]) for name in ("p50", "p95", "p99")),
            "paused" if lane["paused"] else "open",
        )
        for lane in lanes
    ]
    return "Lanes, the last minute", header, rows


def _tasks(tasks: list[dict[str, Any]]) -> Section:
    busiest = sorted(tasks, key=lambda task: -task["completed"])[:MOST_ROWS]
    rows = [
        (
            task["name"],
            count(task["completed"]),
            count(task["failed"] + task["timed_out"]),
            count(task["retries"]),
            duration(task["duration"]["p50_s"]),
            duration(task["duration"]["p99_s"]),
            "C" if task["compiled"] else "Python",
        )
        for task in busiest
    ]
    return (
        _some("Tasks", len(rows), len(tasks)),
        ("task", "completed", "failed", "retries", "p50", "p99", "runs as"),
        rows,
    )


def _workers(busy: list[dict[str, Any]], total: int) -> Section:
    rows = [
        (
            worker["kind"] if worker["slot"] is None or worker["slot"] < 0 else f"worker {worker['slot']}",
            worker["task"],
            str(worker["attempt"]),
            duration(worker["for_s"]),
        )
        for worker in busy[:MOST_ROWS]
    ]
    return f"Running, on {len(busy)} of {total}", ("worker", "task", "attempt", "for"), rows


def _failures(failures: list[dict[str, Any]], now_s: float) -> Section:
    rows = [
        (failure["name"], _cut(failure["error"] or failure["status"], 60), f"{duration(now_s - failure['time'])} ago")
        for failure in failures[:5]
    ]
    return _some("Failures", len(rows), len(failures)), ("task", "error", "when"), rows


def _schedules(schedules: list[dict[str, Any]], now_s: float) -> Section:
    rows = [
        (
            schedule["name"],
            schedule["timetable"],
            "paused"
            if schedule["paused"]
            else NONE
            if schedule["next"] is None
            else f"in {duration(max(0.0, schedule['next'] - now_s))}",
            count(schedule["runs"]),
            count(schedule["missed"]),
        )
        for schedule in schedules[:MOST_ROWS]
    ]
    return "Schedules", ("schedule", "when", "next", "runs", "missed"), rows


def _some(what: str, shown: int, total: int) -> str:
    return what if shown == total else f"{what}, {shown} of {total}"


def _cut(text: str, most: int) -> str:
    line = text.split("\n")[0]
    return line if len(line) <= most else line[: most - 1] + "…"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3


def count(value: float) -> str:
    return f"{value:,.0f}"


def duration(seconds: float | None, *, whole: bool = False) -> str:
    """In the unit that suits it, or in whole seconds and more; a dash: it was not measured."""
    if seconds is None:
        return NONE
    if whole and seconds < 60:
        return f"{int(seconds)} s"
    if seconds == 0:
        return "0 s"
    for limit, unit, factor in ((1e-3, "µs", 1e6), (1.0, "ms", 1e3), (60.0, "s", 1.0)):
        if seconds < limit:
            value = seconds * factor
            return (
                f"{value:.0f} {unit}"
                if value >= 100
                else f"{value:.1f} {unit}"
                if value >= 10
                else f"{value:.2f} {unit}"
            )
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"

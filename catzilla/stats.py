"""Statistics: every figure is measured; one that cannot be is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .ext import Ext
from .handle import wall_time_s
from .memory import resident_bytes

if TYPE_CHECKING:
    from .interface import Handle
    from .system import TaskSystem


@dataclass(frozen=True, slots=True)
class SystemStats:
    """A moment of a task system. Rates and utilization cover the last 10 s; percentiles and averages all time."""

    tasks_per_second: float
    avg_execution_time_ms: float | None
    p50_execution_time_ms: float | None
    p95_execution_time_ms: float | None
    p99_execution_time_ms: float | None
    p95_queue_wait_ms: float | None
    p99_queue_wait_ms: float | None
    critical_queue_size: int
    high_queue_size: int
    normal_queue_size: int
    low_queue_size: int
    total_queued: int
    queue_pressure: float
    """Of the fullest lane, 0..1."""
    active_workers: int
    idle_workers: int
    total_workers: int
    """Configured slots, started or not; helpers, reserves and condemned threads are not in it."""
    reserve_workers: int
    stuck_workers: int
    avg_worker_utilization: float
    """0..1, of total_workers."""
    memory_usage_mb: float | None
    """Resident memory of the process."""
    memory_efficiency: float | None
    """Live / active bytes of the engine's arenas; None where there are none."""
    submitted: int
    completed: int
    failed: int
    cancelled: int
    timed_out: int
    retried: int
    dropped: int
    rejected: int
    parked: int
    """Of total_queued, held back by their own limits."""
    deduplicated: int
    """Submits that were given the handle of the same call (unique=)."""
    steals: int
    """Tasks that a worker took from another one's deque; 0 where workers have none (only the C++ backend's do)."""
    unretrieved_failures: int
    oldest_ready_age_ms: float | None
    """None: nothing is ready."""
    compiled_tasks: int
    native_executions: int
    deopts: int
    workers_added: int
    """By autoscaling, in all."""
    workers_removed: int
    uptime_seconds: float
    backend: str
    allocator: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TaskStats:
    """One task. Times are seconds since the epoch; None: it has not happened, or was not sampled."""

    created_at: float
    started_at: float | None
    finished_at: float | None
    execution_time_ms: float | None
    retries: int
    worker_id: int | None
    """The worker slot; None: not started, not sampled, or it ran on no worker."""

    @classmethod
    def of(cls, handle: Handle) -> TaskStats:
        ext: Ext | None = handle.ext
        created_ns = handle.ready_ns if ext is None or ext.created_ns is None else ext.created_ns
        times_ns = handle.times_ns() if ext is None or ext.times_ns is None else ext.times_ns
        slot = handle.worker_slot()
        return cls(
            created_at=wall_time_s(created_ns),
            started_at=None if times_ns is None else wall_time_s(times_ns[0]),
            finished_at=None if times_ns is None else wall_time_s(times_ns[1]),
            execution_time_ms=None if times_ns is None else (times_ns[1] - times_ns[0]) / 1e6,
            retries=0 if ext is None else ext.retries,
            worker_id=None if slot is None or slot < -1000 else slot,
        )


def percentile_ms(histogram: Mapping[int, int], share: float) -> float | None:
    """The value below which ``share`` of the weight lies; None: nothing was observed."""
    total = sum(histogram.values())
    if not total:
        return None
    wanted = share * total
    seen = 0
    value = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= wanted:
            break
    return value / 1e6


def system_stats(system: TaskSystem) -> SystemStats:
    engine = system.engine
    now_ns = monotonic_ns()
    counters = system.counters()
    sizes = system.queue_sizes()
    parked, deduplicated = system.limit_counts()
    execution = engine.metrics.execution_ns()
    waits = engine.metrics.wait_ns()
    observed = sum(execution.values())
    views = engine.workers.snapshot()
    total = system.autoscaler.slots
    active = len({view.slot for view in views if 0 <= view.slot < total and view.handle is not None})
    per_second, busy = system.ticker.rates()
    resident = resident_bytes()
    oldest = [since_ns for since_ns in engine.queue.oldest_ready_ns() if since_ns is not None]
    memory = engine.allocator.stats()
    live, held = memory["allocated_bytes"], memory["active_bytes"]
    return SystemStats(
        tasks_per_second=per_second,
        avg_execution_time_ms=engine.metrics.execution_sum_ns() / observed / 1e6 if observed else None,
        p50_execution_time_ms=percentile_ms(execution, 0.50),
        p95_execution_time_ms=percentile_ms(execution, 0.95),
        p99_execution_time_ms=percentile_ms(execution, 0.99),
        p95_queue_wait_ms=percentile_ms(waits, 0.95),
        p99_queue_wait_ms=percentile_ms(waits, 0.99),
        critical_queue_size=sizes[0],
        high_queue_size=sizes[1],
        normal_queue_size=sizes[2],
        low_queue_size=sizes[3],
        total_queued=sum(sizes),
        queue_pressure=min(1.0, max(sizes) / system.config.queue_size),
        active_workers=active,
        idle_workers=total - active,
        total_workers=total,
        reserve_workers=sum(1 for view in views if view.reserve and view.native_id is not None and not view.outer),
        stuck_workers=system.deadlines.stuck(),
        avg_worker_utilization=min(1.0, max(0.0, busy / total)),
        memory_usage_mb=None if resident is None else resident / 2**20,
        memory_efficiency=live / held if live is not None and held else None,
        submitted=counters["submitted"],
        completed=counters["completed"],
        failed=counters["failed"],
        cancelled=counters["cancelled"],
        timed_out=counters["timed_out"],
        retried=counters["retried"],
        dropped=counters["dropped"],
        rejected=counters["rejected"],
        parked=parked,
        deduplicated=deduplicated,
        steals=counters["steals"],
        unretrieved_failures=system.reports.count(),
        oldest_ready_age_ms=max(0.0, (now_ns - min(oldest)) / 1e6) if oldest else None,
        compiled_tasks=system.compiling.compiled(),
        native_executions=counters["native_executions"],
        deopts=counters["deopts"],
        workers_added=system.autoscaler.grown,
        workers_removed=system.autoscaler.shrunk,
        uptime_seconds=(now_ns - system.ticker.began_ns) / 1e9,
        backend=system.backend_name,
        allocator=engine.allocator.name,
    )

"""What happens to tasks, for whoever wants to know: events, metrics, traces and logs.

Nothing of it is imported, and no task pays for it, before ``TaskSystem.observe`` or one of the
calls that use it (``enable_metrics``, ``enable_tracing``, ``enable_dashboard``, ``log_events``).
"""

from __future__ import annotations

from .events import Observer, TaskRecord
from .logs import JsonFormatter, TaskContextFilter, TaskLogger
from .meter import TaskMeter

__all__ = ["JsonFormatter", "Observer", "TaskContextFilter", "TaskLogger", "TaskMeter", "TaskRecord"]

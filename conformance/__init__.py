"""The conformance suite: what makes a backend a backend. README.md says how to run it on your own."""

from pathlib import Path

import pytest

# Before the modules are imported: a failed assertion in them then shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*.py")))

from .allocator import AllocatorTests  # noqa: E402
from .faults import FaultTests  # noqa: E402
from .handle import HandleTests  # noqa: E402
from .lifecycle import LifecycleTests  # noqa: E402
from .metrics import MetricsTests  # noqa: E402
from .queue import QueueTests  # noqa: E402
from .stress import StressTests  # noqa: E402
from .system import SystemTests  # noqa: E402
from .workers import WorkersTests  # noqa: E402

__all__ = [
    "QueueTests",
    "WorkersTests",
    "HandleTests",
    "AllocatorTests",
    "MetricsTests",
    "SystemTests",
    "LifecycleTests",
    "StressTests",
    "FaultTests",
]

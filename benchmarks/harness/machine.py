"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from catzilla.cpus import usable_cpus


def describe() -> dict[str, str]:
    return {
        "cpu": f"{_cpu_model()}, {usable_cpus()} usable",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 min, before the first measurement)",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver()) or 'libc unknown'}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_gil()}",
        "catzilla": metadata.version("catzilla"),
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            return next(line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gil() -> str:
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    return "with the GIL" if enabled else "free-threaded"

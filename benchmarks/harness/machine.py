"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from catzilla.cpus import usable_cpus


def describe() -> dict[str, str]:
    return {
        "cpu": f"{_cpu_model()}, {usable_cpus()} usable",
        "memory": _memory(),
        "load": load(),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver()) or 'libc unknown'}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_gil()}, "
        f"switch interval {sys.getswitchinterval() * 1e3:.0f} ms",
        "catzilla": f"{metadata.version('catzilla')}{_commit()}",
    }


def load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 min, before the first measurement)"


def version(distribution: str) -> str:
    """Of an installed distribution; empty: it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            return next(line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    except (OSError, ValueError):
        return "unknown"


def _gil() -> str:
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    return "with the GIL" if enabled else "free-threaded"


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {found.stdout.strip()}"

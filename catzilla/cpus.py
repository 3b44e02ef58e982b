"""How many CPUs this process may use: its affinity, and the quota of the cgroup it lives in."""

from __future__ import annotations

import os
from collections.abc import Callable


def usable_cpus(proc_cgroup: str = "/proc/self/cgroup", mount: str = "/sys/fs/cgroup") -> int:
    """At least 1. A container that may use 1.5 CPUs counts as 2: rounding down would leave half a CPU idle."""
    affinity = affine_cpus()
    quota = cgroup_quota(proc_cgroup, mount)
    if quota is None:
        return affinity
    return max(1, min(affinity, -int(-quota // 1)))  # ceil


def affine_cpus() -> int:
    """The CPUs that the scheduler may put us on (``taskset``, cpusets); all of them where that is not known."""
    process_cpu_count = getattr(os, "process_cpu_count", None)  # 3.13; also follows -X cpu_count
    if process_cpu_count is not None:
        return process_cpu_count() or 1
    try:
        return len(os.sched_getaffinity(0)) or 1
    except (AttributeError, OSError):  # not on every platform
        return os.cpu_count() or 1


def cgroup_quota(proc_cgroup: str = "/proc/self/cgroup", mount: str = "/sys/fs/cgroup") -> float | None:
    """The smallest CPU quota among our cgroup and its ancestors, in CPUs; None: there is none.

    Reads both hierarchies, since a host may mount version 1 and version 2 side by side. The path in
    ``/proc/self/cgroup`` may be the host's, and not exist in a container's mount: going up from it
    ends at the mount itself, which is then the container's own cgroup.
    """
    limits: list[float] = []
    for hierarchy in _read(proc_cgroup).splitlines():
        _, _, rest = hierarchy.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            limits += _up(mount, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):  # "cpu,cpuacct", with "cpu" as a symbolic link to it
                limits += _up(os.path.join(mount, name), path, _quota_v1)
    return min(limits, default=None)


def _up(top: str, path: str, quota: Callable[[str], float | None]) -> list[float]:
    """The quotas from the cgroup up to the top of the hierarchy."""
    parts = [part for part in path.split("/") if part and part != ".."]
    folders = [os.path.join(top, *parts[:depth]) for depth in range(len(parts), -1, -1)]
    return [limit for folder in folders if (limit := quota(folder)) is not None]


def _quota_v2(folder: str) -> float | None:
    match _read(os.path.join(folder, "cpu.max")).split():
        case [quota, period]:
            return _ratio(quota, period)
    return None


def _quota_v1(folder: str) -> float | None:
    return _ratio(_read(os.path.join(folder, "cpu.cfs_quota_us")), _read(os.path.join(folder, "cpu.cfs_period_us")))


def _ratio(quota: str, period: str) -> float | None:
    try:
        allowed, every = int(quota), int(period)
    except ValueError:  # "max", or nothing to read
        return None
    return allowed / every if allowed > 0 and every > 0 else None  # version 1 says -1 for no limit


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

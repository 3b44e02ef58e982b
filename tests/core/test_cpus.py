"""Usable CPUs: affinity, and the quota of the cgroup, in both versions and inside containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catzilla import cpus


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class Machine:
    """The files that the kernel shows a process of its cgroups."""

    def __init__(self, folder: Path) -> None:
        self.membership = folder / "cgroup"
        self.mount = folder / "fs"
        self.member("0::/\n")

    def member(self, text: str) -> None:
        self.membership.write_text(text, encoding="ascii")

    def write(self, path: str, text: str) -> None:
        file = self.mount / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")

    def quota(self) -> float | None:
        return cpus.cgroup_quota(str(self.membership), str(self.mount))

    def usable(self) -> int:
        return cpus.usable_cpus(str(self.membership), str(self.mount))


def test_no_quota(machine: Machine) -> None:
    # Given a cgroup without a limit, Then only affinity counts
    machine.write("cpu.max", "max 100000\n")
    assert machine.quota() is None
    assert machine.usable() == cpus.affine_cpus()


def test_version_2_of_the_container_itself(machine: Machine) -> None:
    machine.write("cpu.max", "150000 100000\n")
    assert machine.quota() == 1.5


def test_version_2_takes_the_smallest_on_the_way_up(machine: Machine) -> None:
    # Given a service inside a slice that is limited harder than itself
    machine.member("0::/system.slice/app.service\n")
    machine.write("system.slice/app.service/cpu.max", "400000 100000\n")
    machine.write("system.slice/cpu.max", "300000 100000\n")
    assert machine.quota() == 3.0


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_version_1(machine: Machine, folder: str) -> None:
    machine.member("12:pids:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n")
    machine.write(f"{folder}/docker/abc/cpu.cfs_quota_us", "200000\n")
    machine.write(f"{folder}/docker/abc/cpu.cfs_period_us", "100000\n")
    assert machine.quota() == 2.0


def test_version_1_without_a_limit(machine: Machine) -> None:
    machine.member("4:cpu:/\n")
    machine.write("cpu/cpu.cfs_quota_us", "-1\n")
    machine.write("cpu/cpu.cfs_period_us", "100000\n")
    assert machine.quota() is None


def test_a_container_that_is_shown_the_hosts_path(machine: Machine) -> None:
    # Given a path that exists on the host only, and the container's own cgroup at the mount
    machine.member("4:cpu,cpuacct:/kubepods/pod1/c1\n")
    machine.write("cpu/cpu.cfs_quota_us", "50000\n")
    machine.write("cpu/cpu.cfs_period_us", "100000\n")
    assert machine.quota() == 0.5


@pytest.mark.parametrize("text", ["", "max", "nonsense here", "0 0", "100000 0", "1 2 3"])
def test_files_that_say_nothing_useful(machine: Machine, text: str) -> None:
    machine.write("cpu.max", text)
    assert machine.quota() is None


def test_no_cgroups_at_all(machine: Machine) -> None:
    machine.membership.unlink()
    assert machine.quota() is None
    assert machine.usable() >= 1


@pytest.mark.parametrize(("limit", "count"), [("10000", 1), ("100000", 1), ("150000", 2), ("99900000", 8)])
def test_half_a_cpu_counts_as_one(machine: Machine, monkeypatch: pytest.MonkeyPatch, limit: str, count: int) -> None:
    # Given 8 CPUs to be scheduled on and a quota, Then the smaller of both counts, rounded up, at least 1
    monkeypatch.setattr(cpus, "affine_cpus", lambda: 8)
    machine.write("cpu.max", f"{limit} 100000\n")
    assert machine.usable() == count


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform has no affinity")
def test_affinity_is_followed() -> None:
    # Given a process that is bound to one CPU, in a child so that this one stays as it is
    import subprocess
    import sys

    program = (
        "import os; from catzilla.cpus import affine_cpus; "
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(affine_cpus())"
    )
    # When it counts, Then it counts one
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.strip() == b"1"

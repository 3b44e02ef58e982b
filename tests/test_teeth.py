"""The conformance suite has teeth: a backend with one thing wrong fails it, for the right reason.

Each saboteur of teeth/catzilla_sabotage.py goes through the classes of the suite that concern it, in
a process of its own; the same backend without a saboteur passes them all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

SABOTEURS = {  # name -> the classes to run, and the tests of which one has to notice first
    "drops": ("TestMetrics", {"test_every_task_of_a_long_run_is_counted"}),
    "duplicates": ("TestStress", {"test_every_task_runs_exactly_once"}),
    "breaks-fifo": ("TestWorkers", {"test_fifo_within_a_lane", "test_fifo_while_tasks_are_put"}),
    "loses-wake-up": ("TestWorkers", {"test_one_task_after_another", "test_bursts_after_idleness"}),
    "ignores-deadlines": (
        "TestSystem",
        {"test_a_deadline_frees_waiter_and_slot", "test_a_deadline_never_hits_another_task"},
    ),
    "leaks-results": (
        "TestHandle",
        {"test_a_result_is_freed_with_its_handle", "test_results_nobody_waits_for_are_freed"},
    ),
    "miscounts": (
        "TestMetrics",
        {"test_counted_before_the_waiter_is_released", "test_every_task_of_a_long_run_is_counted"},
    ),
    "starves-low": ("TestWorkers", {"test_low_is_not_starved", "test_the_longest_overdue_goes_first"}),
}


def run_suite(backend: str, classes: str, patience_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(HERE / "test_conformance.py"), f"--backend={backend}"),
            *("-k", classes, "-x", "-q", "-rf", "--tb=line", "-p", "no:cacheprovider"),
        ],
        cwd=HERE.parent,
        env=os.environ
        | {
            "PYTHONPATH": str(HERE / "teeth"),
            "CATZILLA_TEST_PATIENCE": str(patience_s),
            "CATZILLA_SHUTDOWN_TIMEOUT": "2",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(110)
@pytest.mark.parametrize("saboteur", SABOTEURS)
def test_a_saboteur_is_caught(saboteur: str, record_property: Callable[[str, object], None]) -> None:
    classes, expected = SABOTEURS[saboteur]
    ended = run_suite(saboteur, classes, patience_s=2)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    failed = re.findall(r"^FAILED \S+::(\w+)", ended.stdout, re.MULTILINE)
    assert failed, ended.stdout
    assert set(failed) <= expected, ended.stdout
    record_property("caught by", failed[0])
    print(f"{saboteur} was caught by {failed[0]}")


@pytest.mark.timeout(110)
def test_without_a_saboteur_the_same_backend_passes() -> None:
    classes = " or ".join(sorted({classes for classes, _ in SABOTEURS.values()}))
    ended = run_suite("honest", classes, patience_s=20)
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout + ended.stderr

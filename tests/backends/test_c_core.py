"""The C core against models in Python, through cffi."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

cffi_core = pytest.importorskip("catzilla.backends.c.cffi", exc_type=ImportError)
from catzilla.backends.python.metrics import bucket_of, bucket_top_ns  # noqa: E402

PENDING, RUNNING, COMPLETED, CANCELLED = 0, 3, 4, 6


@pytest.fixture(scope="module")
def lib() -> Any:
    return cffi_core.load()


class Picker:
    """One consumer."""

    def __init__(self, lib: Any, core: Any) -> None:
        self.lib, self.core = lib, core
        self.picks = cffi_core.ffi.new("unsigned *")
        self.found = cffi_core.ffi.new("void **")

    def pop(self) -> tuple[int, Any]:
        number = self.lib.czw_pop(self.core, self.picks, self.found)
        return number, self.found[0]


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3)),
        st.tuples(st.just("delay"), st.integers(0, 3), st.integers(1, 50)),
        st.tuples(st.just("pop")),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.just("again"), st.integers(0, 50)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("advance"), st.integers(1, 20)),
        st.tuples(st.just("pause"), st.sets(st.integers(0, 3))),
    ),
    max_size=120,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=operations, exclusive=st.booleans())
def test_lanes_and_timer_behave_as_their_model(lib: Any, operations: list[tuple[Any, ...]], exclusive: bool) -> None:
    """Four deques and a heap; ready times lie in the future, so that no lane is ever overdue."""
    core = lib.czw_open(20, exclusive)
    picker = Picker(lib, core)
    future = 1 << 62
    lanes: list[deque[int]] = [deque() for _ in range(4)]
    heap: list[tuple[int, int, int]] = []
    boxes: list[Any] = []
    lane_of: list[int] = []
    waiting: set[int] = set()
    held: set[int] = set()
    running: list[int] = []
    paused: set[int] = set()
    now = order = 0
    base = 1 << 40  # later than any real clock of the test

    def size(lane: int) -> int:
        return sum(1 for n in waiting | held if lane_of[n] == lane)

    for operation, *rest in operations:
        if operation in ("put", "delay"):
            lane = rest[0]
            number = len(boxes)
            if operation == "put":
                box = lib.czw_put(core, lane, number, future)
            else:
                box = lib.czw_put_delayed(core, lane, number, base + now + rest[1])
            assert (box != cffi_core.ffi.NULL) == (size(lane) < 20)
            if box == cffi_core.ffi.NULL:
                continue
            boxes.append(box)
            lane_of.append(lane)
            if operation == "put":
                lanes[lane].append(number)
                waiting.add(number)
            else:
                heapq.heappush(heap, (now + rest[1], order, number))
                held.add(number)
                order += 1
        elif operation == "pop":
            expected = -1
            for lane in range(4):
                while lanes[lane] and lanes[lane][0] not in waiting:
                    lanes[lane].popleft()
                if lane not in paused and lanes[lane]:
                    expected = lanes[lane].popleft()
                    break
            number, _ = picker.pop()
            assert number == expected
            if number >= 0:
                waiting.discard(number)
                running.append(number)
        elif operation == "cancel" and rest[0] < len(boxes):
            number = rest[0]
            assert bool(lib.czw_claim(core, boxes[number])) == (number in waiting or number in held)
            waiting.discard(number)
            held.discard(number)
        elif operation == "again" and running:
            number = running.pop(0)
            if rest[0]:
                assert lib.czw_again(core, boxes[number], base + now + rest[0])
                heapq.heappush(heap, (now + rest[0], order, number))
                held.add(number)
                order += 1
            else:
                assert lib.czw_again(core, boxes[number], 0)
                lanes[lane_of[number]].append(number)
                waiting.add(number)
        elif operation == "settle" and running:
            number = running.pop()
            assert lib.czw_settle(boxes[number], COMPLETED) == 1
            assert lib.czw_settle(boxes[number], CANCELLED) == 0
        elif operation == "advance":
            now += rest[0]
            next_ns = lib.czw_advance(core, base + now)
            while heap and heap[0][0] <= now:
                _, _, number = heapq.heappop(heap)
                if number in held:
                    held.discard(number)
                    waiting.add(number)
                    lanes[lane_of[number]].append(number)
            assert next_ns == (base + heap[0][0] if heap else -1)
        elif operation == "pause":
            paused = rest[0]
            lib.czw_pause(core, sum(1 << lane for lane in paused))
        assert [lib.czw_size(core, lane) for lane in range(4)] == [size(lane) for lane in range(4)]
        assert lib.czw_ready(core) == sum(1 for n in waiting if lane_of[n] not in paused)
    lib.czw_close(core)


@given(value=st.integers(-10, (1 << 63) - 1))
def test_buckets_are_the_references(lib: Any, value: int) -> None:
    bucket = lib.czw_bucket_of(value)
    assert bucket == bucket_of(value) < lib.czw_buckets()
    assert lib.czw_bucket_top(bucket) == min(bucket_top_ns(bucket), (1 << 63) - 1) >= value


def test_threads_without_the_gil_lose_and_double_nothing(lib: Any) -> None:
    """cffi lets the GIL go in each call: the shared queue meets real threads."""
    core = lib.czw_open(1_000_000, 0)
    each, producers = 5_000, 3
    got: list[list[int]] = [[], []]
    stop = threading.Event()

    def produce(me: int) -> None:
        for n in range(each):
            lib.czw_put(core, n % 4, me * each + n, 1 << 62)

    def consume(mine: list[int]) -> None:
        picker = Picker(lib, core)
        while True:
            ended = stop.is_set()
            number, _ = picker.pop()
            if number >= 0:
                mine.append(number)
            elif ended:
                return

    consumers = [threading.Thread(target=consume, args=(mine,)) for mine in got]
    threads = [threading.Thread(target=produce, args=(me,)) for me in range(producers)]
    for thread in (*consumers, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    for thread in consumers:
        thread.join()
    assert sorted(got[0] + got[1]) == list(range(each * producers))
    for mine in got:  # in order for each producer and lane
        for producer in range(producers):
            for lane in range(4):
                seen = [n for n in mine if n // each == producer and n % each % 4 == lane]
                assert seen == sorted(seen)
    lib.czw_close(core)

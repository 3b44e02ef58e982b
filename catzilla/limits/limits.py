"""The limits of one task system. Made with its first limited task; a system without any has none."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import TaskDropped, TaskLostInFork
from catzilla.ext import Ext
from catzilla.interface import CANCELLED, COMPLETED, FAILED, LANES, RUNNING, Handle
from catzilla.plan import Plan
from catzilla.priority import TaskPriority

from . import waits
from .bucket import Bucket, Claim
from .limit import Limit

if TYPE_CHECKING:
    from catzilla.system import TaskSystem

SWEEP_AT: Final = 1_000  # limits by key that are kept before idle ones are looked for


class Limits:
    """Every change is made under ``waits.lock``; no code of the user's runs under it."""

    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._buckets: dict[Hashable, Bucket] = {}
        self._unique: dict[Hashable, Claim] = {}
        self._groups: dict[str, dict[Claim, None]] = {}
        self._delayed: list[tuple[int, int, Claim]] = []
        self._delayed_gone = 0  # of these, cancelled ones
        self._looks: list[tuple[int, int, Bucket]] = []  # when time may let somebody go
        self._order = count().__next__
        self._parked: dict[Claim, None] = {}
        self._sweep_at = SWEEP_AT
        self.parked_in = [0] * LANES
        self.deduplicated = 0
        waits.in_use = True

    # -- accepting -----------------------------------------------------------------------------

    def claim(self, limit: Limit, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Claim:
        """For one submit. Calls the user's key functions, whose exceptions are the submitter's."""
        unique = limit.unique_of(args, kwargs) if limit.unique else None
        return Claim(limit, limit.bucket_key(args, kwargs) if limit.parks else None, unique)

    def same_call(self, claim: Claim) -> Handle | None:
        """The task that is this call already, and neither ended nor (unique="queued") started."""
        before = None if claim.unique is None else self._unique.get(claim.unique)
        if before is None or before.handle is None:
            return None
        state = before.handle.state()
        if state >= COMPLETED or (state == RUNNING and claim.limit.unique == "queued"):
            return None
        self.deduplicated += 1
        return before.handle  # type: ignore[no-any-return]

    def put(self, claim: Claim, plan: Plan, args: tuple[Any, ...], ext: Ext, due_ns: int, force: bool) -> Handle | None:
        """Queue.put, or park it. None: no room. Under the lock."""
        system = self._system
        queue = system.engine.queue
        room = force or queue.sizes()[plan.lane] + self.parked_in[plan.lane] < system.config.queue_size
        bucket = self._bucket_of(claim)
        handle: Any
        if bucket is None or (not due_ns and not bucket.parked and self._may_go(claim)):
            handle = queue.put(plan, args, ext, due_ns, force) if room else None
            if handle is None:
                return None
            claim.handle = handle
            if bucket is not None:
                bucket.take(claim)
        elif not room:
            return None
        else:
            ext.promise = True
            handle = claim.handle = queue.promise(plan, ext)
            self._park(claim, bucket, args, due_ns)
        ext.claim = claim
        if claim.unique is not None:
            self._unique[claim.unique] = claim
        self._join_group(claim)
        return handle  # type: ignore[no-any-return]

    def follow(self, handle: Any, args: tuple[Any, ...], due_ns: int) -> None:
        """A continuation is to begin: queue it, or park it. ``unique`` is for what is submitted."""
        ext: Ext = handle.ext
        limit: Limit = handle.plan.owner.limit
        try:
            claim = Claim(limit, limit.bucket_key(args, ext.kwargs or {}) if limit.parks else None, None)
        except Exception as error:  # of the user's key function: there is no submitter to tell
            handle.settle(FAILED, error)
            return
        with waits.lock:
            claim.handle = handle
            ext.claim = claim
            bucket = self._bucket_of(claim)
            if bucket is not None and (due_ns or bucket.parked or not self._may_go(claim)):
                self._park(claim, bucket, args, due_ns)
            else:
                if bucket is not None:
                    bucket.take(claim)
                ext.promise = False
                self._system.engine.queue.requeue(handle, args, due_ns)
            self._join_group(claim)
        self.watch(claim)

    def _bucket_of(self, claim: Claim) -> Bucket | None:
        if claim.key is not None:
            claim.bucket = self._buckets.get(claim.key)
            if claim.bucket is None:
                claim.bucket = self._buckets[claim.key] = Bucket()
        return claim.bucket

    def _park(self, claim: Claim, bucket: Bucket, args: tuple[Any, ...], due_ns: int) -> None:
        claim.args = args
        claim.parked = True
        claim.delayed_until_ns = due_ns
        self.parked_in[claim.handle.plan.lane] += 1
        self._parked[claim] = None
        if due_ns:
            heappush(self._delayed, (due_ns, self._order(), claim))
            self._system.supervisor.wake_before(due_ns)
        else:
            bucket.park(claim)
            self._wake_for(bucket)

    def _join_group(self, claim: Claim) -> None:
        if claim.limit.cancel_group is not None:
            self._groups.setdefault(claim.limit.cancel_group, {})[claim] = None

    def watch(self, claim: Claim) -> None:
        """After ``put``: hear of its end."""
        try:
            claim.handle.on_done(lambda _: self._ended(claim))
        except BaseException:  # no memory: rather one too many than a place that is lost
            self._ended(claim)
            raise

    # -- going on ------------------------------------------------------------------------------

    def started(self, handle: Any) -> None:
        """On its worker, before the call."""
        claim: Claim | None = None if handle.ext is None else handle.ext.claim
        if claim is None or claim.bucket is None or claim.limit.rate is None:
            return
        with waits.lock:
            claim.bucket.started(handle, claim.limit, self._system.now_ns())
            self._let_go(claim.bucket)

    def _ended(self, claim: Claim) -> None:
        with waits.lock:
            bucket = claim.bucket
            if claim.parked:
                self._unpark(claim)
            if bucket is not None:
                bucket.leave(claim.handle)
                self._let_go(bucket)
            if claim.unique is not None and self._unique.get(claim.unique) is claim:
                del self._unique[claim.unique]
            group = claim.limit.cancel_group
            if group is not None:
                members = self._groups.get(group, {})
                members.pop(claim, None)
                if not members:
                    self._groups.pop(group, None)
            if len(self._buckets) > self._sweep_at:
                self._sweep()
        waits.untangle()
        self._system.submitting.room_left()

    def _may_go(self, claim: Claim) -> bool:
        bucket = claim.bucket
        assert bucket is not None
        return bucket.has_place(claim.limit) and bucket.rate_ns(claim.limit, self._system.now_ns()) == 0

    def _let_go(self, bucket: Bucket) -> None:
        while (claim := bucket.first()) is not None and self._may_go(claim):
            self.go(claim)
        self._wake_for(bucket)

    def go(self, claim: Claim) -> None:
        """Queue one that was parked, over its limit too (waits.py)."""
        handle, bucket = claim.handle, claim.bucket
        assert bucket is not None
        self._unpark(claim)
        bucket.take(claim)
        handle.ext.promise = False
        self._system.engine.queue.requeue(handle, claim.args, 0)
        claim.args = ()
        if handle.state() >= COMPLETED:  # cancelled in this moment
            bucket.leave(handle)

    def _unpark(self, claim: Claim) -> None:
        claim.parked = False
        self._parked.pop(claim, None)
        self.parked_in[claim.handle.plan.lane] -= 1
        if claim.delayed_until_ns:
            self._delayed_gone += 1
            if self._delayed_gone > SWEEP_AT and 2 * self._delayed_gone > len(self._delayed):
                self._delayed = [entry for entry in self._delayed if entry[2].parked]
                heapify(self._delayed)
                self._delayed_gone = 0
        elif claim.bucket is not None:
            claim.bucket.unpark(claim)

    # -- time ----------------------------------------------------------------------------------

    def look(self, now_ns: int) -> int | None:
        """The supervisor's: let go what time has freed; when to look again."""
        waits.untangle()  # a coroutine that comes to the end of its TaskGroup tells nobody that it waits now
        with waits.lock:
            while self._delayed and (self._delayed[0][0] <= now_ns or not self._delayed[0][2].parked):
                claim = heappop(self._delayed)[2]
                if claim.parked and claim.bucket is not None:
                    claim.delayed_until_ns = 0
                    claim.bucket.park(claim)
                    self._let_go(claim.bucket)
                else:
                    self._delayed_gone -= 1
            while self._looks and self._looks[0][0] <= now_ns:
                look_ns, _, bucket = heappop(self._looks)
                if bucket.look_ns == look_ns:  # else there is an earlier look at it
                    bucket.look_ns = None
                    self._let_go(bucket)
            due = [heap[0][0] for heap in (self._delayed, self._looks) if heap]
        return min(due, default=None)

    def _next_ns(self, bucket: Bucket) -> int | None:
        """When time alone lets its next one go."""
        claim = bucket.first()
        if claim is None or not bucket.has_place(claim.limit):
            return None
        return bucket.rate_ns(claim.limit, self._system.now_ns())

    def _wake_for(self, bucket: Bucket) -> None:
        next_ns = self._next_ns(bucket)
        if next_ns and (bucket.look_ns is None or next_ns < bucket.look_ns):
            bucket.look_ns = next_ns
            heappush(self._looks, (next_ns, self._order(), bucket))
            self._system.supervisor.wake_before(next_ns)

    def forget_times(self) -> None:
        """The system's clock was replaced: when something started says nothing any more."""
        with waits.lock:
            self._looks = []
            for bucket in self._buckets.values():
                bucket.forget_times()
                self._let_go(bucket)

    def _sweep(self) -> None:
        """Forget limits by key that nobody uses."""
        now_ns = self._system.now_ns()
        for key, bucket in list(self._buckets.items()):
            if bucket.idle(now_ns):
                del self._buckets[key]
        self._sweep_at = max(SWEEP_AT, 2 * len(self._buckets))

    # -- ending --------------------------------------------------------------------------------

    def parked(self) -> list[Handle]:
        return [claim.handle for claim in list(self._parked)]

    def drop_oldest(self, lane: int) -> Handle | None:
        """For on_full="drop_oldest": settle the lane's oldest parked task; None: there is none."""
        error = TaskDropped(
            f"the task was the oldest of lane {TaskPriority(lane).name} that its limit held back, and was dropped to "
            "make room (on_full='drop_oldest')"
        )
        for claim in list(self._parked):
            handle = claim.handle
            if handle.plan.lane == lane and handle.settle(CANCELLED, error):
                return handle  # type: ignore[no-any-return]
        return None

    def cancel_group(self, group: str) -> int:
        with waits.lock:
            members = list(self._groups.get(group, ()))
        return sum(1 for claim in members if claim.handle.cancel())

    def after_fork(self, error: TaskLostInFork) -> None:
        """In the child: what was parked in the parent never goes on here."""
        waits.after_fork()
        parked = self.parked()
        self._buckets, self._parked, self._delayed, self._looks = {}, {}, [], []
        for handle in parked:
            claim = handle.ext.claim
            claim.bucket, claim.parked = None, False
            handle.settle(CANCELLED, error)


def parked_claim(handle: Any) -> Claim | None:
    """The claim of a task that its limit holds back; None: it is held back by none."""
    claim: Claim | None = None if handle.ext is None else handle.ext.claim
    return claim if claim is not None and claim.parked else None

"""The calls that share one limit: who has a place, who is parked, and when the last ones started."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Any

from catzilla.interface import LANES, Handle

from .limit import Limit


class Claim:
    """One limited task (``Ext.claim``), from its acceptance to its end."""

    __slots__ = ("args", "bucket", "delayed_until_ns", "handle", "key", "limit", "parked", "unique")

    def __init__(self, limit: Limit, key: Hashable, unique: Hashable) -> None:
        self.limit = limit
        self.key = key  # None: nothing holds it back
        self.bucket: Bucket | None = None  # once accepted
        self.unique = unique  # None: it may be queued any number of times
        self.handle: Any = None
        self.args: tuple[Any, ...] = ()
        self.parked = False
        self.delayed_until_ns = 0  # parked for delay_ms too, until then


class Bucket:
    """Used under the lock of ``limits.py``."""

    __slots__ = ("_lanes", "busy_until_ns", "holders", "look_ns", "parked", "starts_ns", "unstarted")

    def __init__(self) -> None:
        self.busy_until_ns = 0  # as long as its starts matter to its rate
        self.look_ns: int | None = None  # when the supervisor looks at it, as time may let one go
        self.holders: dict[Handle, None] = {}  # queued, running or to be retried
        self.unstarted: dict[Handle, None] = {}  # of these, the ones that a rate counts and that have not started
        self.starts_ns: deque[int] = deque()
        self.parked = 0
        self._lanes: tuple[deque[Claim], ...] = tuple(deque() for _ in range(LANES))

    def idle(self, now_ns: int) -> bool:
        """Nothing would be forgotten with it."""
        return not self.holders and not self.parked and self.busy_until_ns <= now_ns

    def has_place(self, limit: Limit) -> bool:
        return limit.max_concurrency is None or len(self.holders) < limit.max_concurrency

    def rate_ns(self, limit: Limit, now_ns: int) -> int | None:
        """When its rate lets one more go (0: now); None: not before one that was let go has started.

        The ones let go and not started count as well: when workers are busy they may all start at once.
        """
        rate = limit.rate
        if rate is None:
            return 0
        room = rate.count - len(self.unstarted)
        if room <= 0:
            return None
        if len(self.starts_ns) < room:
            return 0
        free_ns = self.starts_ns[-room] + rate.period_ns
        return 0 if free_ns <= now_ns else free_ns

    def started(self, handle: Handle, limit: Limit, now_ns: int) -> None:
        rate = limit.rate
        if rate is None:
            return
        self.unstarted.pop(handle, None)
        self.starts_ns.append(now_ns)
        self.busy_until_ns = max(self.busy_until_ns, now_ns + rate.period_ns)
        while len(self.starts_ns) > rate.count and self.starts_ns[0] + rate.period_ns <= now_ns:
            self.starts_ns.popleft()

    def forget_times(self) -> None:
        self.starts_ns.clear()
        self.busy_until_ns = 0
        self.look_ns = None

    def take(self, claim: Claim) -> None:
        """It has a place now."""
        self.holders[claim.handle] = None
        if claim.limit.rate is not None:
            self.unstarted[claim.handle] = None

    def leave(self, handle: Handle) -> None:
        self.holders.pop(handle, None)
        self.unstarted.pop(handle, None)

    def park(self, claim: Claim) -> None:
        self._lanes[claim.handle.plan.lane].append(claim)
        self.parked += 1

    def unpark(self, claim: Claim) -> None:
        """It goes on, or was cancelled. Lazily: the middle of a deque is far away."""
        self.parked -= 1
        for lane in self._lanes:
            while lane and not lane[0].parked:
                lane.popleft()
            if len(lane) > 1_024 and len(lane) > 2 * self.parked:
                living = [other for other in lane if other.parked]
                lane.clear()
                lane.extend(living)

    def first(self) -> Claim | None:
        """Who is next: of the highest lane, the one that was there first."""
        return next(self.claims(), None)

    def claims(self) -> Iterator[Claim]:
        return (claim for lane in self._lanes for claim in lane if claim.parked)

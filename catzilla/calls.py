"""A call that an executor was given, and its ``concurrent.futures.Future``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .executor_pool import Pool


class CallFuture(Future[Any]):
    """Cancelling it takes its call out of the lane at once."""

    pool: Pool | None = None  # until the call has ended: a future that is kept keeps no threads' memory alive

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        pool = self.pool
        if pool is not None and pool.withdraw(self):
            self.end()  # else a worker has taken it already: it finds it cancelled, and does this
        return True

    def end(self, error: BaseException | None = None) -> None:
        """The call will never start: its waiters see it cancelled, or ``error``."""
        if error is not None:
            try:
                self.set_exception(error)
            except InvalidStateError:
                pass  # cancelled in this moment
        if self.cancelled():
            self.set_running_or_notify_cancel()
        self.forget()

    def forget(self) -> None:
        """The call is over."""
        pool = self.pool
        self.pool = None
        if pool is not None:
            pool.ended(self)

    def lose(self, error: BaseException) -> None:
        """In the child of a fork: start anew, as threads that are not here may hold the lock and own the callbacks."""
        self.__init__()  # type: ignore[misc]
        self.pool = None
        self.set_exception(error)


def run_call(future: CallFuture, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The task of a call: what ends it is in the future, so the task itself never fails."""
    pool = future.pool
    if pool is not None and pool.here is not None and pool.here.context is not None:
        fn = partial(pool.here.context.copy().run, fn)
    if future.set_running_or_notify_cancel():
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
            future.set_exception(error)
        else:
            future.set_result(result)
    future.forget()
    # The frame of a call that failed refers to this one, and must not keep these alive, the future in a cycle.
    del future, fn, args, kwargs

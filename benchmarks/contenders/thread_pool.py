"""concurrent.futures.ThreadPoolExecutor."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from harness.contender import Contender, Offer


class ThreadPool(Contender):
    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._pool = ThreadPoolExecutor(workers)
        self.submit = self._pool.submit  # type: ignore[method-assign]

    def result(self, handle: Future[object]) -> object:
        return handle.result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def offers() -> list[Offer]:
    return [Offer("ThreadPoolExecutor", ThreadPool)]

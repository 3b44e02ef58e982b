"""Dramatiq with results: on Redis, or on its in-memory stub where there is no Redis."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend, StubBackend

from brokers import calls

if os.environ.get("CATZILLA_BENCH_DRAMATIQ") == "redis":
    broker = RedisBroker(url=calls.redis_url())
    broker.add_middleware(Results(backend=RedisBackend(url=calls.redis_url())))
else:
    broker = StubBroker()
    broker.add_middleware(Results(backend=StubBackend()))
dramatiq.set_broker(broker)
call = dramatiq.actor(calls.call, store_results=True)

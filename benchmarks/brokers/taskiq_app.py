"""taskiq on Redis, as taskiq-redis shows it: streams, with acknowledgements, and results in Redis."""

from __future__ import annotations

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from brokers import calls

broker = RedisStreamBroker(url=calls.redis_url(), unacknowledged_lock_timeout=10).with_result_backend(
    RedisAsyncResultBackend(redis_url=calls.redis_url())
)
call = broker.task(task_name="call")(calls.call)

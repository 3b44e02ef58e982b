"""Celery, as its first steps set it up: Redis as broker and as result backend."""

from __future__ import annotations

from celery import Celery

from brokers import calls

app = Celery("brokers.celery_app", broker=calls.redis_url(), backend=calls.redis_url())
call = app.task(calls.call, name="call")

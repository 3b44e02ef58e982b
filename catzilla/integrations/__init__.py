"""Task queues that people come from: the calls of Celery (``celery``) and RQ (``rq``) on a task system."""

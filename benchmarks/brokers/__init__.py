"""Applications of task queues with a broker: what their worker processes import."""

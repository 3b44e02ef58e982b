"""How many of a task run at once, how often it starts, and that it is not queued twice.

A task that its limit holds back is *parked*: it is accepted (it has a handle, is counted as submitted
and as queued, and takes room in its lane), but lies in no lane and holds no worker. It is a promise
(Queue.promise), as a continuation is, and is queued when its turn comes.
"""

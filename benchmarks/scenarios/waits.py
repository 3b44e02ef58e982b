"""Tasks that wait: for a clock, and for a server on this machine."""

from __future__ import annotations

from harness.contender import WAITS
from harness.scenario import Metric, Scenario, Trial
from harness.slow_server import ANSWER_AFTER_S, slow_server

SLEEP_S = 0.010
MANY = 32


def run(trial: Trial) -> dict[str, float]:
    n = 200 if trial.quick else 1000
    with slow_server() as port:
        with trial.open(MANY) as contender:
            contender.sleeps(MANY, SLEEP_S)
            figures = {"sleep_per_s": n / contender.sleeps(n, SLEEP_S), "ask_per_s": n / contender.asks(n, port)}
        if trial.offer.ours:
            with trial.open(2, enable_auto_scaling=True, max_workers=MANY) as contender:
                figures["scaled_sleep_per_s"] = n / contender.sleeps(n, SLEEP_S)
                figures["scaled_ask_per_s"] = n / contender.asks(n, port)
    return figures


SCENARIOS = (
    Scenario(
        25,
        "waits",
        f"Tasks that sleep {SLEEP_S * 1e3:.0f} ms, and that ask a local server which answers after "
        f"{ANSWER_AFTER_S * 1e3:.0f} ms: {MANY} workers, and scaled by itself from 2 to {MANY}",
        (
            Metric("sleep_per_s", "sleeps/s", higher_is_better=True),
            Metric("ask_per_s", "asks/s", higher_is_better=True),
            Metric("scaled_sleep_per_s", "sleeps/s, autoscaled", higher_is_better=True, compared=False),
            Metric("scaled_ask_per_s", "asks/s, autoscaled after that", higher_is_better=True, compared=False),
        ),
        run,
        WAITS,
    ),
)

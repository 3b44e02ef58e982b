"""``retry`` and ``retry_policy`` of ``apply_async``: a submit that is refused is tried again, in the submitter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError, QueueFull

if TYPE_CHECKING:
    from catzilla.canvas.signature import Signature

# Seconds; what Celery's publishing uses.
DEFAULT_POLICY: Final = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}


def submit_again(signature: Signature[Any], options: dict[str, Any]) -> Any:
    """``signature.apply_async(**options)``; with ``retry=True`` or a policy, QueueFull is raised only at last."""
    policy = take_policy(options)
    if policy is None:
        return signature.apply_async(**options)
    wait_s = policy["interval_start"]
    for _ in range(int(policy["max_retries"])):
        try:
            return signature.apply_async(**options)
        except QueueFull:
            time.sleep(min(wait_s, policy["interval_max"]))
            wait_s += policy["interval_step"]
    return signature.apply_async(**options)


def take_policy(options: dict[str, Any]) -> dict[str, Any] | None:
    """Take retry and retry_policy out of the options. None: a refusal is raised at once."""
    retry = options.pop("retry", None)
    given = options.pop("retry_policy", None)
    if retry is not None and not isinstance(retry, bool):
        raise ConfigTypeError(f"retry={retry!r} must be True or False: whether a refused submit is tried again")
    if given is not None and not isinstance(given, dict):
        raise ConfigTypeError(f"retry_policy={given!r} must be a dict of {', '.join(DEFAULT_POLICY)}")
    for name, value in (given or {}).items():
        if name not in DEFAULT_POLICY:
            raise ConfigValueError(f"{name!r} is not part of a retry_policy; these are: {', '.join(DEFAULT_POLICY)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ConfigValueError(f"retry_policy[{name!r}]={value!r} must be a number of at least 0")
    if retry is False or (retry is None and given is None):
        return None
    return {**DEFAULT_POLICY, **(given or {})}

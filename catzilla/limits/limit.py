"""What limits one task with one set of options: made with its plan."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from catzilla.options import TaskOptions


class Limit:
    __slots__ = ("cancel_group", "identity", "key", "max_concurrency", "name", "rate", "unique", "unique_key")

    def __init__(self, options: TaskOptions, fn: Callable[..., Any], name: str) -> None:
        self.name = name
        self.identity = _identity(options, fn)
        self.max_concurrency = options.max_concurrency
        self.rate = options.rate_limit
        self.key = options.limit_key
        self.unique = options.unique
        self.unique_key = options.unique_key
        self.cancel_group = options.cancel_group

    @property
    def parks(self) -> bool:
        return self.max_concurrency is not None or self.rate is not None

    def bucket_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Calls with the same one share the limit. What ``limit_key`` raises is the submitter's."""
        if self.key is None:
            return (self.identity,)
        if isinstance(self.key, str):
            return ("", self.key)  # one limit for all tasks that name it
        return (self.identity, _hashable("limit_key", self.name, self.key(*args, **kwargs)))

    def unique_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Calls with the same one are the same call."""
        if self.unique_key is not None:
            return (self.identity, _hashable("unique_key", self.name, self.unique_key(*args, **kwargs)))
        call = (self.identity, args, tuple(sorted(kwargs.items())))
        try:
            hash(call)
        except TypeError as error:
            raise TypeError(
                f"unique={self.unique!r} compares the arguments of {self.name}, and one of them cannot be hashed "
                f"({error}): say what makes a call the same one with unique_key=lambda *args, **kwargs: ..."
            ) from None
        return call


def limit_of(options: TaskOptions, fn: Callable[..., Any], name: str) -> Limit | None:
    """None: nothing limits it."""
    if (
        options.max_concurrency is None
        and options.rate_limit is None
        and not options.unique
        and options.cancel_group is None
    ):
        return None
    return Limit(options, fn, name)


def _identity(options: TaskOptions, fn: Callable[..., Any]) -> Hashable:
    """The task, whatever options a single call has."""
    if options.name is not None:
        return options.name
    try:
        hash(fn)
    except TypeError:
        return id(fn)
    return fn


def _hashable(option: str, name: str, key: Any) -> Hashable:
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(f"{option} of {name} gave {key!r}, and a key must be hashable: {error}") from None
    return key  # type: ignore[no-any-return]

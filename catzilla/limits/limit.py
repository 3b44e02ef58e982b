"""What limits one task with one set of options: made with its plan."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from catzilla.options import TaskOptions
from catzilla.shape import bound_shape, shape_of
from catzilla.wording import brief, kind_of


class Limit:
    __slots__ = (
        "_parameters",
        "cancel_group",
        "identity",
        "key",
        "max_concurrency",
        "name",
        "rate",
        "unique",
        "unique_key",
    )

    def __init__(self, options: TaskOptions, fn: Callable[..., Any], name: str) -> None:
        self.name = name
        shape = bound_shape(fn) if options.bind else shape_of(fn)
        self._parameters: tuple[str, ...] = () if shape is None else shape.names
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
        return (self.identity, _key("limit_key", self.name, self.key, args, kwargs))

    def unique_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Calls with the same one are the same call."""
        if self.unique_key is not None:
            return (self.identity, _key("unique_key", self.name, self.unique_key, args, kwargs))
        call = (self.identity, args, tuple(sorted(kwargs.items())))
        try:
            hash(call)
        except TypeError as error:
            raise TypeError(
                f"unique={self.unique!r} compares the arguments of {self.name}, and {self._unhashable(args, kwargs)} "
                f"cannot be hashed ({error}): say what makes a call the same one with unique_key="
                f"lambda {', '.join(self._parameters) or '*args, **kwargs'}: ..., which gives a str, an int or a tuple"
            ) from None
        return call

    def _unhashable(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The first argument that cannot be hashed, by name."""
        for index, value in enumerate(args):
            if not _can_hash(value):
                named = f" ({self._parameters[index]})" if index < len(self._parameters) else ""
                return f"argument {index + 1}{named}, {brief(value)},"
        name, value = next((name, value) for name, value in kwargs.items() if not _can_hash(value))
        return f"argument {name}, {brief(value)},"


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


def _key(
    option: str, name: str, make: Callable[..., Hashable], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Hashable:
    try:
        key = make(*args, **kwargs)
    except Exception as error:
        note = f"in {option} of {name}, which is called with the arguments of the task"
        if note not in getattr(error, "__notes__", ()):  # an exception that the user raises again and again
            error.add_note(note)
        raise
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(
            f"{option} of {name} gave {brief(key)} ({kind_of(key)}), and a key must be hashable: let it give a str, an "
            f"int or a tuple ({error})"
        ) from None
    return key


def _can_hash(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True

"""What tasks do that no kernel can: libraries, files, objects, time. Most of these must be refused."""

import json
import logging
import os
import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

logger = logging.getLogger("corpus")
registry: dict[str, int] = {}


@dataclass
class Point:
    x: int
    y: int


def to_json(data: dict) -> str:
    return json.dumps(data, sort_keys=True)


def from_json(text: str) -> Any:
    return json.loads(text)


def log_security_event(event: str) -> None:
    logger.debug(event)


def find_numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def join_path(folder: str, name: str) -> str:
    return os.path.join(folder, name)


def seeded(seed: int) -> float:
    return random.Random(seed).random()


def count_letters(text: str) -> Any:
    return Counter(text)


def group(words: list[str]) -> Any:
    groups = defaultdict(list)
    for word in words:
        groups[word[0]].append(word)
    return dict(groups)


def year_of(text: str) -> int:
    return datetime.fromisoformat(text).year


def point_sum(x: int, y: int) -> int:
    p = Point(x, y)
    return p.x + p.y


def remember(name: str, value: int) -> int:
    registry[name] = value
    return len(registry)


def unique_words(text: str) -> int:
    return len(set(text.split()))


def sort_by_length(words: list[str]) -> list[str]:
    return sorted(words, key=len)


def apply_twice(x: int) -> int:
    double = lambda v: v * 2  # noqa: E731
    return double(double(x))


def nested(x: int) -> int:
    def inner(y: int) -> int:
        return y + x

    return inner(x)


def numbers(n: int) -> list[int]:
    def produce():
        yield from range(n)

    return list(produce())


def spread(*values: int) -> int:
    return sum(values)


def options(**values: int) -> int:
    return len(values)


def big_factorial(n: int) -> int:
    return int.from_bytes(bytes([n]), "big")


def safe_divide(a: int, b: int) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return 0.0
    finally:
        registry.pop("x", None)


def percent_format(a: int, b: int) -> str:
    return "%d of %d" % (a, b)


def old_format(a: int) -> str:
    return f"{a} items"


def change_argument(values: list[int]) -> None:
    values.append(1)


def give_back(values: list[int]) -> list[int]:
    return values


def elapsed() -> bool:
    return time.monotonic() > 0


def bytes_length(data: bytes) -> int:
    return len(data)


def kind_of(value: Any) -> str:
    return type(value).__name__


def walrus(values: list[int]) -> int:
    if (n := len(values)) > 2:
        return n
    return 0


def with_file(path: str) -> bool:
    with open(path) as file:
        return bool(file)


def matcher(code: int) -> str:
    match code:
        case 200:
            return "ok"
        case _:
            return "other"


def deletes(values: dict[str, int]) -> int:
    copy = dict(values)
    del copy["a"]
    return len(copy)


CALLS = [
    (to_json, [({"a": 1},)]),
    (from_json, [('{"a": 1}',)]),
    (log_security_event, [("login",)]),
    (find_numbers, [("a1b22",)]),
    (join_path, [("a", "b")]),
    (seeded, [(1,)]),
    (count_letters, [("aab",)]),
    (group, [(["ab", "ac", "b"],)]),
    (year_of, [("2024-01-02",)]),
    (point_sum, [(1, 2)]),
    (remember, [("a", 1)]),
    (unique_words, [("a b a",)]),
    (sort_by_length, [(["ccc", "a", "bb"],)]),
    (apply_twice, [(3,)]),
    (nested, [(3,)]),
    (numbers, [(3,)]),
    (spread, [(1, 2)]),
    (options, [()]),
    (big_factorial, [(3,)]),
    (safe_divide, [(1, 2)]),
    (percent_format, [(1, 2)]),
    (old_format, [(1,)]),
    (change_argument, [([1],)]),
    (give_back, [([1],)]),
    (elapsed, [()]),
    (bytes_length, [(b"abc",)]),
    (kind_of, [(1,)]),
    (walrus, [([1, 2, 3],)]),
    (with_file, [("/dev/null",)]),
    (matcher, [(200,)]),
    (deletes, [({"a": 1},)]),
]

"""What messages about mistakes are made of."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import pytest

from catzilla.wording import LONGEST, brief, did_you_mean, kind_of, nearest, with_article


@pytest.mark.parametrize(
    ("noun", "words"),
    [
        ("int", "an int"),
        ("str", "a str"),
        ("array", "an array"),
        ("uint8", "a uint8"),
        ("UUID", "a UUID"),
        ("HTTPError", "a HTTPError"),
        ("Undefined", "an Undefined"),
        ("None", "None"),
        ("_Private", "a _Private"),
    ],
)
def test_articles(noun: str, words: str) -> None:
    assert with_article(noun) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "an int"),
        (None, "None"),
        (array("q"), "an array"),
        (Path, "the class Path"),
        (json, "the module json"),
        (len, "a builtin_function_or_method"),
    ],
)
def test_what_a_value_is(value: Any, words: str) -> None:
    assert kind_of(value) == words


def test_long_values_are_cut() -> None:
    assert brief("short") == "'short'"
    assert len(brief("x" * 10_000)) == LONGEST
    assert brief(10**400).endswith("...")


def test_a_value_whose_repr_raises() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert brief(Broken()) == "<a Broken whose repr raises RuntimeError>"


def test_the_nearest_name() -> None:
    names = ["workers", "queue_size"]
    assert nearest("Wrokers", names) == "workers"
    assert nearest(7, names) is None
    assert nearest("x", []) is None
    assert did_you_mean("queuesize", names) == "did you mean 'queue_size'? "
    assert did_you_mean("zzz", names) == ""

"""Words that every message about a mistake needs: an article, a short form of a value, the nearest name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LONGEST: Final = 80  # characters of a value in a message
_LIKE_YOU: Final = ("uni", "use", "uint", "uu", "eu", "one")  # written with a vowel, spoken with a consonant


def with_article(noun: str) -> str:
    """With its article: "an int", "a str", "a uint8"."""
    if noun == "None":
        return noun
    lower = noun.lower()
    return f"an {noun}" if lower[:1] in tuple("aeiou") and not lower.startswith(_LIKE_YOU) else f"a {noun}"


def kind_of(value: object) -> str:
    """What a value is: "an int", "None", "the class Path", "the module json"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if type(value).__name__ == "module":
        return f"the module {getattr(value, '__name__', '?')}"
    return with_article(type(value).__name__)


def brief(value: object) -> str:
    """Its repr, at most LONGEST characters of it; of a value whose repr raises, its type."""
    try:
        text = repr(value)
    except Exception as error:  # a mistake of the value's own must not take the place of the one that is told
        return f"<{with_article(type(value).__name__)} whose repr raises {type(error).__name__}>"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def nearest(name: object, names: Iterable[str]) -> str | None:
    """The one of ``names`` that was probably meant; None: none is near."""
    import difflib

    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """ "did you mean 'workers'? ", or "" where no name is near."""
    near = nearest(name, names)
    return "" if near is None else f"did you mean {near!r}? "

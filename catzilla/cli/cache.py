"""``catzilla cache clear``: forget the compiled functions."""

from __future__ import annotations

from .command import Command, CommandError, Parameter
from .output import Output


def run(out: Output, *, action: str) -> int:
    from catzilla.compiler import cache

    if action not in ("clear", "path"):
        raise CommandError(f"{action!r} is nothing that can be done to the cache: clear or path")
    path = cache.directory()
    if action == "path":
        out.raw(str(path))
        return 0
    try:
        count = cache.clear()
    except FileNotFoundError:
        count = 0
    except (cache.UnsafeCache, OSError) as error:
        raise CommandError(f"the cache is left alone: {error}") from error
    out.line(f"{count} compiled function{'s' * (count != 1)} deleted from {path}")
    return 0


COMMAND = Command(
    "cache",
    "Delete compiled functions (clear), or say where they are (path).",
    run,
    (Parameter("action", "clear or path.", positional=True),),
)

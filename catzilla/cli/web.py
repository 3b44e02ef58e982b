"""What the commands that serve need."""

from __future__ import annotations

from . import facts
from .command import CommandError


def require_web() -> None:
    """Raises CommandError naming the extra that is missing."""
    absent = facts.absent("web")
    if absent:
        raise CommandError(
            f"this command needs the web extra ({', '.join(absent)} missing): {facts.pip_command('web')}"
        )

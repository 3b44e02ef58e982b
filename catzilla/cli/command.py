"""What a command is, declared once: the plain and the pretty command line are both made of this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from catzilla.errors import BackendError, ConfigError

from .output import Output


class CommandError(Exception):
    """The command cannot do what was asked; its text is all that the user needs to see."""


@dataclass(frozen=True)
class Parameter:
    """One argument (``positional``) or option (``--name``) of a command. A bool is a flag that is off by default."""

    name: str
    help: str
    kind: type[str] | type[int] | type[bool] = str
    default: str | int | bool | None = None
    positional: bool = False
    required: bool = True
    """Of a positional one: False: None when it is not given."""

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Command:
    """``run`` gets an Output and every parameter by name, and returns the exit code."""

    name: str
    help: str
    run: Callable[..., int]
    parameters: Sequence[Parameter] = field(default=())

    def call(self, out: Output, values: dict[str, object]) -> int:
        try:
            return self.run(out, **values)
        except (CommandError, BackendError, ConfigError) as error:  # these texts say what to do: no traceback
            out.error(str(error))
            return 1

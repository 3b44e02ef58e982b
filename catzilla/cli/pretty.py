"""The command line with the ``cli`` extra: typer, from the same declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .command import Command, Parameter
from .output import Output


def main(argv: Sequence[str], commands: Sequence[Command], about: str, version: str, out: Output) -> int:
    """Raises SystemExit for --help, --version and a usage error (code 2), as typer does."""
    app = typer.Typer(name="catzilla", help=about, add_completion=False, pretty_exceptions_enable=False)

    def show_version(wanted: bool) -> None:
        if wanted:
            out.raw(version)
            raise typer.Exit

    shown = typer.Option(False, "--version", is_eager=True, callback=show_version, help="Show the version and exit.")

    @app.callback()
    def root(version: bool = shown) -> None:
        pass

    for command in commands:
        app.command(command.name, help=command.help)(_function(command, out))
    app(args=list(argv), prog_name="catzilla")
    raise AssertionError("typer exits by itself")


def _function(command: Command, out: Output) -> Callable[..., None]:
    """typer reads commands off the signature of a function: make one with the declared parameters."""

    def call(**values: Any) -> None:
        raise typer.Exit(command.call(out, values))

    parameters = [_parameter(parameter) for parameter in command.parameters]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameter(parameter: Parameter) -> inspect.Parameter:
    kind: Any = parameter.kind
    default: Any = inspect.Parameter.empty
    if parameter.positional:
        shown: Any = typer.Argument(help=parameter.help, metavar=parameter.name.upper())
        if not parameter.required:
            default, kind = None, kind | None
    else:
        shown = typer.Option(parameter.flag, help=parameter.help)
        default = False if parameter.kind is bool else parameter.default
        kind = kind | None if default is None else kind
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown]
    )

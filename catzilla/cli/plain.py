"""The command line without the ``cli`` extra: argparse, from the same declarations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .command import Command, Parameter
from .output import Output


def main(argv: Sequence[str], commands: Sequence[Command], about: str, version: str, out: Output) -> int:
    """Raises SystemExit for --help, --version and a usage error (code 2), as argparse does."""
    parser = argparse.ArgumentParser(prog="catzilla", description=about)
    parser.add_argument("--version", action="version", version=version)
    choices = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    by_name = {}
    for command in commands:
        by_name[command.name] = command
        sub = choices.add_parser(command.name, help=command.help, description=command.help)
        for parameter in command.parameters:
            _add(sub, parameter)
    values = vars(parser.parse_args(argv))
    return by_name[values.pop("command")].call(out, values)


def _add(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    how: dict[str, Any] = {"help": parameter.help.replace("%", "%%")}
    if parameter.positional:
        if not parameter.required:
            how["nargs"] = "?"
        parser.add_argument(parameter.name, type=parameter.kind, **how)
        return
    if parameter.kind is bool:
        how["action"] = "store_true"
    else:
        how |= {"type": parameter.kind, "default": parameter.default}
        if parameter.default is not None:
            how["help"] += f" (default: {parameter.default})"
    parser.add_argument(parameter.flag, dest=parameter.name, **how)

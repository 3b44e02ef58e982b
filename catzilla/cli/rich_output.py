"""Output with colour, for terminals. Needs the ``cli`` extra."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .output import Output

_STYLES = {"ok": "green", "missing": "yellow", "not built": "yellow", "error": "bold red", "broken": "bold red"}


class RichOutput(Output):
    """The same facts in the same order."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)

    def heading(self, text: str) -> None:
        self._console.print(Text(f"\n{text}", style="bold cyan"))

    def line(self, text: str) -> None:
        self._console.print(Text(text))

    def rows(self, rows: Sequence[tuple[str, str, str]]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for what, state, remark in rows:
            table.add_row(Text(f"  {what}"), Text(state, style=_STYLES.get(state, "")), Text(remark))
        self._console.print(table)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=True, padding=(0, 0, 0, 2), header_style="dim")
        for title in header:
            table.add_column(Text(title), justify="right")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(table)

    def error(self, text: str) -> None:
        self._errors.print(Text("error: ", style="bold red") + Text(text))

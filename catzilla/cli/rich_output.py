"""Output with colour, for terminals. Needs the ``cli`` extra."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.syntax import Syntax
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

    def verdict(self, name: str, text: str, good: bool) -> None:
        self._console.print(Text(name, style="bold") + Text(f" {text}", style="bold green" if good else "bold yellow"))

    def quote(self, line: str, marked: bool = False) -> None:
        # Longer ones are not folded: what points at a column below would point at nothing.
        text = Text(f"  {line}", style="bold" if marked else "dim")
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def code(self, text: str, language: str) -> None:
        if not self._console.is_terminal:
            super().code(text, language)  # for a file or another program: nothing padded, nothing folded
            return
        self._console.print(Syntax(text.rstrip("\n"), language, theme="ansi_dark", background_color="default"))

    def error(self, text: str) -> None:
        self._errors.print(Text("error: ", style="bold red") + Text(text))

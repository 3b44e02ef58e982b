"""What commands write to: plain lines here, the same with colour in rich_output.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence


class Output:
    """Plain text, one fact a line, for pipes, logs and terminals without the ``cli`` extra."""

    def heading(self, text: str) -> None:
        self._write(f"\n{text}")

    def line(self, text: str) -> None:
        self._write(text)

    def rows(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """(what, state, remark) by line. State is "" or one of "ok", "missing", "error", or free text."""
        width = max((len(what) for what, _, _ in rows), default=0)
        second = max((len(state) + 2 for _, state, _ in rows if state), default=0)
        for what, state, remark in rows:
            self._write(f"  {what:<{width}}  {state:<{second}}{remark}".rstrip())

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Figures in columns, aligned to the right."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, *rows):
            self._write("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))

    def raw(self, text: str) -> None:
        """For machines: exactly this, whatever the form."""
        self._write(text)

    def verdict(self, name: str, text: str, good: bool) -> None:
        """What was found out about something, before the details."""
        self._write(f"{name} {text}")

    def quote(self, line: str, marked: bool = False) -> None:
        """A line of source, as it stands."""
        self._write(f"  {line}")

    def code(self, text: str, language: str) -> None:
        self._write(text.rstrip("\n"))

    def error(self, text: str) -> None:
        print(f"error: {text}", file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        print(text, flush=True)

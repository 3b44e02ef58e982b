"""Why a function stays in Python."""

from __future__ import annotations


class Refusal(Exception):
    """Raised by the front end; never reaches the user as an exception. Line numbers are those of the file."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.line is None:
            return self.reason
        return f"line {self.line}, column {(self.column or 0) + 1}: {self.reason}"

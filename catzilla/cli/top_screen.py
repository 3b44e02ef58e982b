"""The live form of ``catzilla top``. Needs the ``cli`` extra."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .top_sections import sections


def screen(look: Callable[[], dict[str, Any]], interval_s: float) -> None:
    """Until Ctrl-C."""
    console = Console(highlight=False)
    with Live(render(look()), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(interval_s)
                live.update(render(look()), refresh=True)
        except KeyboardInterrupt:
            return


def render(snapshot: dict[str, Any]) -> Group:
    parts: list[Any] = []
    for title, header, rows in sections(snapshot):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for index, name in enumerate(header):
            table.add_column(Text(name), justify="left" if index == 0 else "right", overflow="ellipsis", no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        parts += [Text(title, style="bold cyan"), table, Text("")]
    parts.append(Text("Ctrl-C ends", style="dim"))
    return Group(*parts)

"""The live form of ``catzilla top``. Needs the ``cli`` extra."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .command import CommandError
from .top_keys import keys
from .top_sections import duration, sections
from .top_watch import Look, Seen, Watch

KEYS: Final = "q or Ctrl-C ends, space looks now"
REDRAW_S: Final = 1.0  # while nothing comes: the age of what is shown grows


def screen(look: Look, interval_s: float, source: str) -> None:
    """Until q or Ctrl-C. A server that is gone is said, looked for again, and its last figures stay."""
    console = Console(highlight=False)
    if not sys.stdout.isatty():  # not the console's word: FORCE_COLOR makes it say so of a pipe
        raise CommandError("a live view needs a terminal; --once prints the figures a single time")
    try:
        with (
            Watch(look, interval_s) as watch,
            keys() as pressed,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                seen = watch.seen()
                live.update(picture(seen, source, interval_s, time.time()), refresh=True)
                for key in pressed.wait(watch.bell, REDRAW_S):
                    if key in "qQ":
                        return
                    if key == " ":
                        watch.look_now()
    except KeyboardInterrupt:
        return


def picture(seen: Seen, source: str, interval_s: float, now_s: float) -> Group:
    """State of the connection first: a low terminal cuts off what is below."""
    return Group(_state(seen, source, interval_s, now_s), Text(""), *_tables(seen.snapshot))


def _state(seen: Seen, source: str, interval_s: float, now_s: float) -> Text:
    if seen.lost is not None and seen.lost_at is not None:
        since = duration(max(0.0, now_s - seen.lost_at), whole=True)
        text = Text(f"no figures for {since}, trying again: {seen.lost}", style="bold red")
        if seen.at is not None:
            text.append(f"\nwhat follows is of {time.strftime('%H:%M:%S', time.localtime(seen.at))}", style="red")
    elif seen.at is None:
        text = Text(f"waiting for {source}", style="bold yellow")
    elif now_s - seen.at > max(3.0, 3 * interval_s):
        age = duration(now_s - seen.at, whole=True)
        text = Text(f"{source} takes its time to answer; what follows is {age} old", style="bold yellow")
    else:
        text = Text(f"{source} at {time.strftime('%H:%M:%S', time.localtime(seen.at))}", style="green")
    return text.append(f"\n{KEYS}", style="not bold dim default")


def _tables(snapshot: dict[str, Any] | None) -> list[Any]:
    parts: list[Any] = []
    for title, header, rows in () if snapshot is None else sections(snapshot):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for index, name in enumerate(header):
            table.add_column(Text(name), justify="left" if index == 0 else "right", overflow="ellipsis", no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        parts += [Text(title, style="bold cyan"), table, Text("")]
    return parts

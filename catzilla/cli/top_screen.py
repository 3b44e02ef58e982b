"""The live form of ``catzilla top``. Needs the ``cli`` extra."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Final, Literal

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from .command import CommandError
from .top_keys import keys
from .top_sections import duration, sections
from .top_watch import Look, Seen, Watch

KEYS: Final = "q or Ctrl-C ends, space looks now"
NAMES: Final = ("task", "error", "schedule", "when")  # columns of text, of any length
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


def picture(seen: Seen, source: str, interval_s: float, now_s: float) -> Picture:
    return Picture([_state(seen, source, interval_s, now_s), Text("")], seen.snapshot)


class Picture:
    """State of the connection first; as much of the figures as there is room for, and none of them cut off."""

    def __init__(self, head: list[Text], snapshot: dict[str, Any] | None) -> None:
        self._head = head
        self._snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts: list[Any] = [*self._head]
        for title, header, rows in () if self._snapshot is None else sections(self._snapshot):
            parts += [Text(title, style="bold cyan"), _fitted(header, rows, options.max_width), Text("")]
        lines = console.render_lines(Group(*parts), options.update(height=None), pad=False)
        if len(lines) > options.size.height:
            hidden = len(lines) - options.size.height + 1
            more = Text(f"… {hidden} more lines in a taller terminal", style="dim")
            lines = lines[:-hidden] + console.render_lines(more, options.update(height=None), pad=False)
        for line in lines:
            yield from line
            yield Segment.line()


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


def _fitted(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table | Text:
    """What is too wide gets narrower gaps, then goes without its p95; one row becomes text that wraps."""
    padding = 2
    if _width(header, rows, padding) > width:
        padding = 1
        if len(rows) == 1 and header[0] not in NAMES:
            return _flowing([f"{name} {value}" for name, value in zip(header, rows[0], strict=True)], width)
    if _width(header, rows, padding) > width:
        kept = [index for index, name in enumerate(header) if name != "p95"]
        header, rows = [header[index] for index in kept], [[row[index] for index in kept] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, padding, 0, 0), header_style="dim")
    for index, column in enumerate(zip(header, *rows, strict=True)):
        # Where there is still no room, names give way: a figure that is cut off is a wrong one.
        least = None if column[0] in NAMES else max(map(len, column))
        justify: Literal["left", "right"] = "left" if index == 0 else "right"
        table.add_column(Text(column[0]), justify=justify, min_width=least, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _flowing(pairs: list[str], width: int) -> Text:
    """On as few lines as there is room for, none broken inside a pair."""
    lines = [pairs[0]]
    for pair in pairs[1:]:
        longer = f"{lines[-1]} · {pair}"
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(pair)
    return Text("\n".join(lines))


def _width(header: Sequence[str], rows: Sequence[Sequence[str]], padding: int) -> int:
    return sum(max(map(len, column)) + padding for column in zip(header, *rows, strict=True))

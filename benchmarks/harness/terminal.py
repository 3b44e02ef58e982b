"""What is shown while the benchmark runs: a progress bar and tables, pretty where rich is installed and looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.report import Table, as_text

try:
    import rich
except ImportError:
    rich = None  # type: ignore[assignment]


def show(title: str, table: Table) -> None:
    if rich is None or not sys.stdout.isatty():
        print(f"\n{title}\n\n{as_text(table)}", flush=True)
        return
    from rich.console import Console
    from rich.table import Table as RichTable

    pretty = RichTable(title=title, title_justify="left")
    for i, name in enumerate(table[0]):
        pretty.add_column(name, justify="right" if i else "left", overflow="fold")
    for row in table[1:]:
        pretty.add_row(*row, style="bold" if row[0].startswith("catzilla") else "")
    Console().print("", pretty)


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A function to call before each of ``total`` steps. Nothing is shown where nobody looks on."""
    if not sys.stderr.isatty():
        yield lambda text: None
    elif rich is None:
        steps = iter(range(1, total + 1))
        yield lambda text: print(f"\r\x1b[K[{next(steps, total)}/{total}] {text}", end="", file=sys.stderr, flush=True)
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    else:
        yield from _bar(total)


def _bar(total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns: list[Any] = [BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        steps = bar.add_task("", total=total)
        begun = False

        def step(text: str) -> None:
            nonlocal begun
            bar.update(steps, description=text, advance=int(begun))
            begun = True

        yield step

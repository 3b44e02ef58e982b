"""The README's Python runs as printed, and what it points at is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_is_python_to_run() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_it_runs_as_printed(index: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[index]], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_first_block_prints_what_its_task_does() -> None:
    ended = subprocess.run([sys.executable, "-c", BLOCKS[0]], capture_output=True, text=True, timeout=50, check=True)
    assert ended.stdout.splitlines() == [
        "Sending to user 7: hello",
        "{'status': 'sent', 'user_id': 7}",
        "1 completed",
    ]


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).exists()] == []

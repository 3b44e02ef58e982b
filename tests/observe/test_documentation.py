"""The Python of docs/observability.md runs as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

for module in ("fastapi", "prometheus_client", "opentelemetry.sdk"):
    pytest.importorskip(module, reason="the page shows every extra")

PAGE = (Path(__file__).parents[2] / "docs/observability.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_it_runs_as_printed(index: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[index]], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
    if "JsonFormatter" in BLOCKS[index]:
        assert '"event": "finished"' in ended.stderr
    else:
        assert ended.stderr == ""

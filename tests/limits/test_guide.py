"""The guide's Python runs as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "limits.md"
if not GUIDE.exists():
    pytest.skip("the guides are not part of this install", allow_module_level=True)
BLOCKS: Final = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_there_is_python_to_run() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_it_runs_as_printed(index: int, backend_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATZILLA_BACKEND", backend_name)
    monkeypatch.setenv("CATZILLA_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "myapp.py").write_text("from catzilla import TaskSystem\napp = TaskSystem()\n")
    script = tmp_path / "script.py"
    script.write_text(BLOCKS[index])
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)", GUIDE.read_text("utf-8")) if "://" not in target]
    assert [target for target in targets if not (GUIDE.parent / target).exists()] == []

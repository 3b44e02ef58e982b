"""Without the web extra everything else works, and the error says what to install."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_FASTAPI = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fastapi", "starlette"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

SCRIPT = """
import catzilla
with catzilla.TaskSystem() as system:
    assert system.add_task(abs, -1).wait(5) == 1
try:
    from catzilla import Catzilla
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_the_error_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_FASTAPI + SCRIPT], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    kind, _, message = done.stdout.partition(" ")
    assert kind == "ImportError"
    assert 'pip install -e ".[web]"' in message
    assert "No module named 'fastapi'" in message


def test_fastapi_is_imported_only_when_asked_for():
    probe = "import sys, catzilla; sys.exit(any(name in sys.modules for name in ('fastapi', 'starlette', 'uvicorn')))"
    assert subprocess.run([sys.executable, "-c", probe], timeout=50, check=False).returncode == 0

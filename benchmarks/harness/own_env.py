"""Rivals whose dependencies exclude those of others live in environments of their own, beside the benchmark's.

Such an environment has the rival and what it needs; everything else it finds in the environment that made it.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".cache" / "rivals"
NEEDED = {"arq": "its redis client is older than the one that RQ and taskiq-redis take"}
"""Distributions that cannot be installed beside the others, and why."""


def install(distribution: str) -> None:
    """Makes its environment anew. subprocess.CalledProcessError: pip failed, and has said why."""
    home = FOLDER / distribution
    venv.create(home, clear=True, with_pip=True)
    subprocess.run([_python(home), "-m", "pip", "install", "--quiet", distribution], check=True)
    # After its own packages, so that those come first; with the .pth files there, which editable installs are made of.
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (_packages(home) / "benchmark.pth").write_text(line, encoding="utf-8")


def python_of(distribution: str) -> str:
    """The interpreter of its environment; empty: it has none, or one of another Python."""
    home = FOLDER / distribution
    return str(_python(home)) if version_in_own(distribution) and _python(home).exists() else ""


def version_in_own(distribution: str) -> str:
    packages = _packages(FOLDER / distribution)
    return next((one.version for one in metadata.distributions(name=distribution, path=[str(packages)])), "")


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _packages(home: Path) -> Path:
    return home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

"""Kernels under ASan and UBSan: nothing is read or written beyond its end, no operation is undefined."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FOUND


@pytest.mark.timeout(620)
def test_kernels_under_asan_and_ubsan(tmp_path: Path) -> None:
    """Every tenth function of the realistic set (all with CATZILLA_TEST_ALL)."""
    if "cc" not in FOUND:
        pytest.skip("no system compiler is here")
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        path = subprocess.run(
            [*FOUND["cc"].command, f"-print-file-name={name}"], capture_output=True, text=True
        ).stdout.strip()
        if not os.path.isabs(path):
            pytest.skip(f"{name} is not here")
        libraries.append(path)
    environment = os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",  # what a kernel reads of an argument has its own end
        "CATZILLA_CACHE_DIR": str(tmp_path / "cache"),
    }
    script = Path(__file__).with_name("kernels_under_sanitizers.py")
    command = [sys.executable, str(script), "1" if os.environ.get("CATZILLA_TEST_ALL") else "10"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10

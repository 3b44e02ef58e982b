"""The code in the guides runs as printed: ours on every backend, and what it replaces.

The latter is skipped where its packages or a Redis server are missing, unless CATZILLA_TEST_REDIS=1 says that they
must be there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from catzilla.conformance.rig import eventually

REQUIRED = os.environ.get("CATZILLA_TEST_REDIS") == "1"
REDIS = shutil.which("redis-server")
DOCS = Path(__file__).parent.parent.parent / "docs"
MOVES = [f"guides/{name}.md" for name in ("celery", "rq", "threadpool", "fastapi_background_tasks")]
DOCUMENTS = ["canvas.md", *MOVES, *(f"guides/{name}.md" for name in ("limits", "schedules", "testing"))]
FENCE = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    document: str
    index: int
    before: bool
    code: str

    def __str__(self) -> str:
        return f"{self.document}-{self.index}-{'before' if self.before else 'after'}"


def blocks(document: str) -> list[Block]:
    text = (DOCS / document).read_text(encoding="utf-8")
    found = []
    for index, match in enumerate(FENCE.finditer(text)):
        said = re.findall(r"^(Before|After):$", text[: match.start()], re.MULTILINE)
        found.append(Block(document, index, bool(said) and said[-1] == "Before", match[1]))
    return found


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
AFTER = [block for block in BLOCKS if not block.before]
BEFORE = [block for block in BLOCKS if block.before]


def run(code: str, folder: Path, **environment: str) -> None:
    folder.joinpath("myapp.py").write_text("from catzilla import TaskSystem\napp = TaskSystem()\n")
    script = folder / "script.py"
    script.write_text(code)
    environment |= {"CATZILLA_LOCK_DIR": str(folder / "locks"), "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::UserWarning:fastapi", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_every_document_has_code() -> None:
    assert {block.document for block in AFTER} == set(DOCUMENTS)


def test_every_guide_has_both() -> None:
    for document in MOVES:
        kinds = {block.before for block in BLOCKS if block.document == document}
        assert kinds == {True, False}, document


@pytest.mark.timeout(150)
@pytest.mark.parametrize("block", AFTER, ids=str)
def test_the_code_runs(block: Block, backend_name: str, tmp_path: Path) -> None:
    if "fastapi" in block.code:
        pytest.importorskip("fastapi", reason="needs the web extra")
    run(block.code, tmp_path, CATZILLA_BACKEND=backend_name)


def missing(what: str) -> NoReturn:
    (pytest.fail if REQUIRED else pytest.skip)(f"needs {what}")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A server of our own, so that nobody's data is touched; on a socket, so that no port can be taken."""
    if REDIS is None:
        missing("a Redis server (apt-get install redis-server)")
    from redis import Redis
    from redis.exceptions import ConnectionError as NoConnection

    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = f"{folder}/redis.sock"
        settings = ["--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--appendonly", "no"]
        log = Path(folder, "log")
        with log.open("wb") as written:
            server = subprocess.Popen([REDIS, *settings], stdout=written, stderr=subprocess.STDOUT)
        try:
            with Redis(unix_socket_path=socket) as client:

                def answers() -> bool:
                    assert server.poll() is None, log.read_text(encoding="utf-8", errors="replace")
                    try:
                        return client.ping() is True
                    except NoConnection:
                        return False

                eventually(answers, "the Redis server answers")
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("block", BEFORE, ids=str)
def test_what_it_replaces_runs(block: Block, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    imported = set(re.findall(r"^(?:from|import) (\w+)", block.code, re.MULTILINE))
    for name in imported:
        if importlib.util.find_spec(name) is None:
            missing(name)
    environment = {"REDIS_URL": request.getfixturevalue("redis_url")} if "redis" in imported else {}
    run(block.code, tmp_path, **environment)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (DOCS / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (DOCS / document).parent.joinpath(target).exists()] == []

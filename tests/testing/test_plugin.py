"""The pytest plugin, in projects of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

# See pyproject.toml for the one that is ignored.
EDITABLE = "ignore:Module already imported so cannot be rewritten; _editable:pytest.PytestAssertRewriteWarning"
ARGS = ("-p", "no:cacheprovider", "-W", "error", "-W", EDITABLE)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, backend_name: str) -> pytest.Pytester:
    monkeypatch.setenv("CATZILLA_BACKEND", backend_name)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def test_the_fixtures(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import threading
        import pytest

        def where():
            return threading.get_ident()

        def test_inline(catzilla_inline):
            result = catzilla_inline.add_task(where)
            assert result.done() and result.wait() == threading.get_ident()
            with pytest.raises(TypeError):
                catzilla_inline.add_task(where, 1)

        def test_live(catzilla_live, catzilla_drain):
            done = []
            catzilla_live.add_task(done.append, threading.get_ident())
            catzilla_live.add_task(done.append, 0, delay_ms=10)
            catzilla_drain()
            assert len(done) == 2

        def test_clock(catzilla_live, catzilla_clock, catzilla_drain):
            result = catzilla_live.add_task(int, "7", delay_ms=3_600_000)
            catzilla_clock.advance(3_599)
            assert not result.done()
            catzilla_clock.advance(1)
            assert result.wait(20) == 7
            later = catzilla_live.add_task(int, "8", delay_ms=3_600_000)
            catzilla_drain()
            assert later.wait(0) == 8

        def test_schedule(catzilla_system, catzilla_clock):
            ran = []

            @catzilla_system.task(every=3600)
            def hourly():
                ran.append(catzilla_clock.now())

            catzilla_clock.advance(3 * 3600)
            assert len(ran) == 3
        """
    )
    project.runpytest_subprocess(*ARGS).assert_outcomes(passed=4)


def test_ones_own_system(project: pytest.Pytester) -> None:
    project.makepyfile(
        shop="""
        from catzilla import TaskSystem
        tasks = TaskSystem(workers=1)

        @tasks.task(max_retries=3)
        def charge(amount):
            return amount * 2
        """,
        conftest="""
        import pytest, shop

        @pytest.fixture
        def catzilla_system():
            return shop.tasks
        """,
        test_shop="""
        import shop

        def test_in_place(catzilla_inline):
            assert shop.charge.submit(2).wait(0) == 4

        def test_on_workers(catzilla_live):
            assert shop.charge.submit(2).wait(20) == 4

        def test_what_is_left_is_cancelled(catzilla_live):
            shop.charge.with_options(delay_ms=3_600_000).submit(2)

        def test_and_not_there_in_the_next_test(catzilla_live):
            assert catzilla_live.pending() == []
        """,
    )
    project.runpytest_subprocess(*ARGS).assert_outcomes(passed=4)


def test_a_task_that_does_not_end_fails_the_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import threading
        import pytest

        def test_it(catzilla_live, catzilla_drain):
            go_on = threading.Event()

            def stuck():
                go_on.wait(30)

            catzilla_live.add_task(stuck)
            with pytest.raises(TimeoutError, match="stuck"):
                catzilla_drain(timeout_s=0.1)
            go_on.set()
        """
    )
    project.runpytest_subprocess(*ARGS).assert_outcomes(passed=1)


def test_a_project_that_does_not_use_it_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("catzilla")
            loaded = {name for name in sys.modules if name.split(".")[0] in ("catzilla", "cffi", "asyncio")}
            assert {name for name in loaded if name.startswith("catzilla")} <= {
                "catzilla", "catzilla.testing", "catzilla.testing.plugin"
            }
        """
    )
    pytester.runpytest_subprocess(*ARGS).assert_outcomes(passed=1)


def test_its_fixtures_are_listed_with_what_they_do(pytester: pytest.Pytester) -> None:
    listed = pytester.runpytest_subprocess("--fixtures", *ARGS).stdout.str()
    for name in ("catzilla_system", "catzilla_inline", "catzilla_live", "catzilla_clock", "catzilla_drain"):
        assert name in listed

"""The figures of the pages come from saved runs, and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import update_docs
from harness import targets
from harness.discover import all_scenarios
from harness.duel import Result
from harness.promises import PROMISES, Figures

END = "<!-- end of figures -->"


def saved(contender: str, scenario: str, *rounds: dict[str, float], error: str = "") -> dict[str, object]:
    return {
        "scenario": scenario,
        "contender": contender,
        "version": "1.0",
        "settings": "as it comes",
        "rounds": list(rounds),
        "error": error,
        "seconds": [1.0] * len(rounds),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = {
        "about": {"cpu": "toy, 2 usable", "python": "CPython 3", "command": "python it"},
        "absent": {"arq on Redis": "no arq"},
        "seconds": {"noop": 7.0},
        "results": [
            saved("catzilla c", "noop", {"per_s": 4e6}, {"per_s": 6e6}),
            saved("ThreadPoolExecutor", "noop", {"per_s": 1e5}, {"per_s": 1e5}),
            saved("Celery on Redis", "noop", error="no result within 60 s"),
        ],
    }
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "run.json").write_text(json.dumps(run))
    return tmp_path


def update(folder: Path, page: str, *more: str) -> tuple[int, str]:
    path = folder / "page.md"
    path.write_text(page)
    where = ["--figures", str(folder / "figures"), "--charts", str(folder / "charts"), "--pages", str(path)]
    return update_docs.main([*where, *more]), path.read_text()


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(folder: Path) -> None:
    page = f"before\n<!-- figures: table noop -->\nold\n{END}\nbetween\n<!-- figures: about run -->\n{END}\nafter\n"
    code, text = update(folder, page)
    assert code == 0
    assert "| catzilla c | 5,000,000 (4,000,000..6,000,000) | 50x |" in text
    assert "| Celery on Redis | no result within 60 s |" in text
    assert "- command: `python it`" in text
    assert "old" not in text
    assert [text.index(word) for word in ("before", "between", "after")] == sorted(
        text.index(word) for word in ("before", "between", "after")
    )
    assert update(folder, text) == (0, text)
    assert update(folder, text, "--check") == (0, text)
    assert "catzilla c" in (folder / "charts" / "noop.svg").read_text()


def test_check_changes_nothing_and_says_what_is_stale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = f"<!-- figures: table noop -->\nold\n{END}\n"
    assert update(folder, page, "--check") == (1, page)
    assert "page.md has other figures" in capsys.readouterr().out
    assert not (folder / "charts").exists()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("tables", "`figures: tables` is not known; allowed are about NAME"),
        ("about", "`figures: about` is not known"),
        ("about study", "there is no run study: there are run"),
        ("table cpu", "no saved run has the scenario cpu"),
    ],
)
def test_what_cannot_be_filled_is_an_error(
    folder: Path, what: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = f"<!-- figures: {what} -->\n{END}\n"
    assert update(folder, page) == (2, page)
    assert message in capsys.readouterr().err


def test_a_promise_that_was_not_measured_says_so(folder: Path) -> None:
    _, text = update(folder, f"<!-- figures: promises -->\n{END}\n")
    assert "| simple tasks, C: 1,000,000/s | 5,000,000 /s (4,000,000..6,000,000) | met | `noop` |" in text
    assert "| no leaks |  | not measured |" in text
    assert len(text.splitlines()) == len(PROMISES) + 4


def test_each_promise_names_a_target_and_figures_that_exist() -> None:
    by_name = {target.what: target for target in targets.TARGETS}
    scenarios = all_scenarios()
    everything = [
        Result(one, offer, {0: {metric.key: 1.0 for metric in one.metrics}})
        for one in scenarios
        for offer in update_docs.all_offers()
    ]
    for promise in PROMISES:
        if promise.target:
            assert by_name[promise.target].scenario == promise.scenario
        promise.note(Figures(everything))  # looks each of its metrics up


def test_the_pages_show_the_saved_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert update_docs.main(["--check"]) == 0, capsys.readouterr()

"""The benchmark's own parts: its tables, charts and verdicts are right, and nobody stops the run."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from harness import charts, duel, report, targets
from harness.contender import Contender, Offer
from harness.discover import all_offers, all_scenarios
from harness.duel import MeasureError, Result
from harness.scenario import Metric, Scenario, Trial, micros, percentile, rate
from harness.workloads import noop

RATE = Metric("per_s", "tasks/s", higher_is_better=True)
TIME = Metric("us", "us", 1)


def scenario(*metrics: Metric, **how: object) -> Scenario:
    options: dict[str, object] = {"baselines": ("slow one",)} | how
    return Scenario(1, "toy", "A toy", metrics or (RATE,), lambda trial: {}, "calls", **options)  # type: ignore[arg-type]


def offer(name: str, ours: bool = False) -> Offer:
    return Offer(name, Contender, frozenset({"calls"}), ours=ours)


def result(one: Scenario, name: str, *rounds: dict[str, float], error: str = "") -> Result:
    return Result(one, offer(name, name.startswith("catzilla")), dict(enumerate(rounds)), error)


class TestReport:
    def test_shows_the_median_the_spread_and_the_ratio_within_rounds(self) -> None:
        toy = scenario()
        ours = result(toy, "catzilla c", {"per_s": 100}, {"per_s": 300}, {"per_s": 200})
        slow = result(toy, "slow one", {"per_s": 10}, {"per_s": 10}, {"per_s": 40})
        table = report.rows([ours, slow])
        assert table[0] == ["", "tasks/s", "vs slow one"]
        assert table[1] == ["catzilla c", "200 (100..300)", "10x"]

    def test_a_lower_time_is_better(self) -> None:
        toy = scenario(TIME)
        assert result(toy, "a", {"us": 2}).times_better_than(result(toy, "b", {"us": 8}), TIME) == 4

    def test_a_contender_that_failed_says_why_in_its_row(self) -> None:
        toy = scenario()
        table = report.rows([result(toy, "a", error="no result within 3 s"), result(toy, "slow one", {"per_s": 1})])
        assert table[1] == ["a", "no result within 3 s", ""]

    def test_a_figure_that_somebody_does_not_have_is_a_dash(self) -> None:
        toy = scenario(RATE, TIME)
        assert report.rows([result(toy, "a", {"per_s": 5})])[1] == ["a", "5", "-"]

    def test_markdown_has_as_many_columns_as_the_table(self) -> None:
        lines = report.as_markdown([["", "x", "y"], ["a", "1", "2"]]).splitlines()
        assert {line.count("|") for line in lines} == {4}


class TestCharts:
    def test_bars_are_a_drawing_with_everybody_in_it(self) -> None:
        toy = scenario()
        found = [result(toy, "catzilla c", {"per_s": 5e6}, {"per_s": 6e6}), result(toy, "a < b & c", {"per_s": 100})]
        root = ElementTree.fromstring(charts.draw(toy, found, "note") or "")
        texts = [element.text for element in root.iter() if element.text and element.text.strip()]
        assert {"catzilla c", "a < b & c", "5,500,000", "100"} <= set(texts)

    def test_lines_are_drawn_through_the_points_of_the_axis(self) -> None:
        toy = scenario(*(Metric(f"w{n}", str(n), x=n) for n in (1, 2, 4)), axis="workers")
        root = ElementTree.fromstring(charts.draw(toy, [result(toy, "a", {"w1": 9, "w4": 5})], "") or "")
        assert len([element for element in root.iter() if element.tag.endswith("circle")]) == 2

    def test_nothing_is_drawn_of_nothing(self) -> None:
        assert charts.draw(scenario(), [result(scenario(), "a", error="failed")], "") is None


class TestTargets:
    def test_each_names_what_exists(self) -> None:
        metrics = {one.name: {metric.key for metric in one.metrics} for one in all_scenarios()}
        names = {one.name for one in all_offers()} | {"catzilla c", "catzilla cpp"}  # a pure install has neither
        for target in targets.TARGETS:
            assert target.metric in metrics[target.scenario], target
            assert {target.contender, target.against or target.contender} <= names, target

    @pytest.mark.parametrize(
        ("measured", "text"), [(5.0, "missed"), (10.0, "met"), (20.0, "met, aim too"), (None, "not measured: why")]
    )
    def test_a_verdict_knows_floor_and_aim(self, measured: float | None, text: str) -> None:
        target = targets.Target("what", 10, 20, "/s", "toy", "per_s", at_least=True)
        assert targets.Verdict(target, measured, "why").text == text

    def test_less_is_better_for_a_time(self) -> None:
        target = targets.Target("what", 10, 5, "us", "toy", "us")
        assert [targets.Verdict(target, value).text for value in (11, 10, 5)] == ["missed", "met", "met, aim too"]

    def test_without_a_measurement_each_says_what_is_missing(self) -> None:
        verdicts = targets.judge([])
        assert len(verdicts) == len(targets.TARGETS)
        assert all("did not take part" in verdict.text for verdict in verdicts)


class TestDuel:
    def test_they_take_turns_and_a_failure_stops_only_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        turns: list[str] = []

        def measure(scenario: Scenario, trial: Trial) -> dict[str, float]:
            turns.append(trial.offer.name)
            if trial.offer.name == "bad":
                raise MeasureError("failed: on purpose")
            return {"per_s": 1}

        monkeypatch.setattr(duel, "measure", measure)
        trials = [Trial(offer(name), 2, True, 10) for name in ("good", "bad")]
        good, bad = duel.duel(scenario(), trials, rounds=2)
        assert turns == ["good", "bad", "good"]
        assert (len(good.rounds), good.error, bad.error) == (2, "", "failed: on purpose")

    def test_a_slow_one_has_one_round(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(duel, "measure", lambda scenario, trial: {"per_s": 1})
        trials = [Trial(replace(offer("slow"), slow=True), 2, False, 10)]
        assert len(duel.duel(scenario(), trials, rounds=3)[0].rounds) == 1

    def test_one_that_hangs_is_ended(self) -> None:
        hanging = replace(next(one for one in all_scenarios() if one.name == "noop"), timeout_s=0)
        with pytest.raises(MeasureError, match="no result within 0 s"):
            duel.measure(hanging, Trial(offer("SimpleQueue + lock"), 1, True, 10))

    def test_one_that_fails_gives_its_last_words(self) -> None:
        noop = next(one for one in all_scenarios() if one.name == "noop")
        with pytest.raises(MeasureError, match="failed: StopIteration"):
            duel.measure(noop, Trial(offer("nobody"), 1, True, 10))


class TestScenarios:
    def test_names_and_ranks_are_unique(self) -> None:
        found = all_scenarios()
        assert len({one.name for one in found}) == len({one.rank for one in found}) == len(found)

    def test_each_has_one_of_ours_and_something_to_compare_with(self) -> None:
        offers = all_offers()
        for one in all_scenarios():
            assert any(offer.ours for offer in offers if one.needs in offer.can), one.name

    @pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.99, 10), (0.1, 1)])
    def test_percentile_is_the_smallest_that_covers_the_share(self, share: float, value: int) -> None:
        assert percentile(list(range(1, 11)), share) == value

    def test_a_rate_is_that_of_the_first_burst_that_is_long_enough(self) -> None:
        bursts: list[int] = []

        def burst(n: int) -> float:
            bursts.append(n)
            return n / 1000

        assert rate(burst, at_least_s=5, most=10**6) == 1000
        assert bursts == [500, 2000, 8000]

    def test_a_burst_that_stalled_does_not_count(self) -> None:
        seconds = iter([3.0, 0.5, 2.0, 8.0])  # of 500 once stalled and once not, of 2,000 and of 8,000
        assert rate(lambda n: next(seconds), at_least_s=3, most=10**6) == 1000

    def test_no_burst_is_larger_than_allowed(self) -> None:
        bursts: list[int] = []
        assert rate(lambda n: bursts.append(n) or n / 1000, at_least_s=99, most=1000) == 1000  # type: ignore[func-returns-value]
        assert bursts == [500, 1000]

    def test_micros_are_microseconds(self) -> None:
        assert micros([1000, 3000, 2000], "x_")["x_p50_us"] == 2


def test_a_tool_that_is_there_and_does_not_run_makes_its_rival_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rustc = tmp_path / "rustc"
    rustc.write_text("#!/bin/sh\necho 'error: no default toolchain is configured' >&2\nexit 1\n")
    rustc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    absent = {one.name: one.absent for one in all_offers()}
    assert absent["Rust, std mpsc"] == "rustc --version failed: error: no default toolchain is configured"
    assert absent["Go, buffered channel"].startswith("no go ")


@pytest.mark.parametrize(
    "one",
    [one for one in all_offers() if not (one.ours or one.slow or one.version or one.absent)],
    ids=lambda one: one.name,
)
def test_each_rival_of_the_standard_library_runs_tasks(one: Offer) -> None:
    if one.absent:
        pytest.skip(one.absent)
    with one.open(2) as contender:
        assert contender.burst(noop, 10) > 0
        if "bulk" in one.can:
            assert contender.bulk(noop, 10) > 0
        if "tree" in one.can:
            assert contender.tree(2) > 0


def test_catzilla_runs_kernels_in_each_form(backend_name: str) -> None:
    one = next(one for one in all_offers() if one.name == f"catzilla {backend_name}")
    if one.absent:
        pytest.skip(one.absent)
    with one.open(1, enable_c_compilation=True) as contender:
        forms = [contender.compiled("price", form, 5) for form in ("one", "list", "buffer")]
        assert all(seconds is not None and seconds > 0 for seconds in forms)
        assert contender.compiled("spin", "one", 5, 10)
        assert contender.native_share() > 0  # type: ignore[attr-defined]


def test_an_anchor_that_is_built_does_the_work() -> None:
    programs = {
        one.name: Path(one.open.keywords["command"][0])
        for one in all_offers()
        if isinstance(one.open, partial) and "command" in one.open.keywords
    }
    assert len(programs) == 5
    built = [one for one in all_offers() if not one.absent and one.name in programs and programs[one.name].exists()]
    if not built:
        pytest.skip("none is built: the benchmark does it")
    for one in built:
        with one.open(2) as contender:
            assert (contender.compiled("spin", "one", 100, 10) or 0) > 0

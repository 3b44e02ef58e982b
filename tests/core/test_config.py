"""SystemConfig: what is allowed, which source wins, and errors that say all there is to know."""

from __future__ import annotations

import copy
import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from catzilla import variables
from catzilla.config import SystemConfig, SystemOptions, resolve
from catzilla.errors import ConfigError, ConfigTypeError, ConfigValueError
from catzilla.parameters import PARAMETERS

GOOD: dict[str, list[Any]] = {
    "workers": [1, 16, 4096],
    "min_workers": [1, 4],
    "max_workers": [1, 4096],
    "queue_size": [1, 10_000, 10**9],
    "on_full": ["raise", "block", "caller_runs", "drop_oldest"],
    "enable_auto_scaling": [True, False],
    "memory_pool_mb": [1000, 0.5],
    "enable_c_compilation": [True, False],
    "enable_profiling": [True, False, "full"],
    "use_jemalloc": [True, False],
    "backend": ["auto", "c", "cpp", "python", "somebody-elses"],
    "shutdown_timeout": [0, 30, 0.25],
    "keep_results": [0, 1000],
    "critical_reserve": [0, 4],
    "max_stuck_workers": [0, 32],
    "memory_profiling": [True, False],
    "async_concurrency": [1, 1000],
    "lock_dir": ["/var/lib/app", "locks"],
}
BAD_VALUES: dict[str, list[Any]] = {
    "workers": [0, -1, 4097],
    "min_workers": [0, -3],
    "max_workers": [0, 10**6],
    "queue_size": [0, -1, 10**9 + 1, 10**30],
    "on_full": ["", "drop", "RAISE"],
    "memory_pool_mb": [0, -1, math.nan, math.inf],
    "enable_profiling": ["", "Full", "yes"],
    "backend": ["", " c"],
    "shutdown_timeout": [-1, -0.001, math.nan, math.inf],
    "keep_results": [-1, 10**30],
    "critical_reserve": [-1, 257],
    "max_stuck_workers": [-1, 10**6],
    "async_concurrency": [0, 10**30],
    "lock_dir": [""],
}
BAD_TYPES: dict[str, list[Any]] = {
    "workers": [True, 2.0, "2", [2]],
    "min_workers": [False, "1"],
    "max_workers": [32.0],
    "queue_size": [True, 1.5, "100", None],
    "on_full": [1, None, b"raise"],
    "enable_auto_scaling": [1, 0, "true", None],
    "memory_pool_mb": [True, "1000"],
    "enable_c_compilation": [1, None],
    "enable_profiling": [1, None, 2.0],
    "use_jemalloc": [1, "yes"],
    "backend": [1, b"c", object()],
    "shutdown_timeout": [True, "30", None],
    "keep_results": [False, 1.0],
    "critical_reserve": [True],
    "max_stuck_workers": ["32"],
    "memory_profiling": [1, None],
    "async_concurrency": [1e3],
    "lock_dir": [1, b"locks"],
}
BAD_TEXTS: dict[str, list[str]] = {
    "workers": ["0", "two", "1.5", "True"],
    "queue_size": ["-1", "10k"],
    "on_full": ["drop"],
    "enable_auto_scaling": ["2", "maybe"],
    "memory_pool_mb": ["0", "1GB", "nan"],
    "enable_profiling": ["half"],
    "shutdown_timeout": ["soon", "-1"],
    "memory_profiling": ["enabled"],
}


def _each(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


def _resolve(config: SystemConfig | None = None, environ: dict[str, str] | None = None, **arguments: Any) -> Any:
    return resolve(config, arguments, environ=environ or {}, cpus=4)


class TestOneValue:
    def test_the_tables_here_cover_every_parameter(self) -> None:
        assert set(GOOD) == set(BAD_TYPES) == set(PARAMETERS) == set(SystemOptions.__annotations__)

    @pytest.mark.parametrize(("name", "value"), _each(GOOD))
    def test_a_good_value_is_kept(self, name: str, value: Any) -> None:
        # Given a value that is allowed
        # When it is an argument, or in a config object
        # Then it is what the system gets
        assert getattr(_resolve(**{name: value}), name) == value
        assert getattr(_resolve(SystemConfig(**{name: value})), name) == value

    @pytest.mark.parametrize(("name", "value"), _each(BAD_VALUES))
    def test_a_bad_value_is_one_error(self, name: str, value: Any) -> None:
        # When a value of the right type is not allowed
        with pytest.raises(ConfigValueError) as caught:
            _resolve(**{name: value})
        # Then the error names parameter, value, origin and what is allowed, and is a ValueError
        text = str(caught.value)
        assert text.startswith(f"{name}={value!r} (from argument) is not allowed: ")
        assert text.endswith(PARAMETERS[name].allowed)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, ConfigError)

    @pytest.mark.parametrize(("name", "value"), _each(BAD_TYPES))
    def test_a_wrong_type_is_one_error(self, name: str, value: Any) -> None:
        # When a value is of the wrong type; True is not 1, and 2.0 is not 2
        with pytest.raises(ConfigTypeError) as caught:
            _resolve(**{name: value})
        # Then the error names parameter, value, type and what is allowed, and is a TypeError
        text = str(caught.value)
        assert name in text
        assert repr(value) in text
        assert type(value).__name__ in text
        assert "from argument" in text
        assert isinstance(caught.value, TypeError)

    def test_an_integer_of_another_library_is_an_integer(self) -> None:
        # Given something with __index__, as numpy's integers have
        class Four:
            def __index__(self) -> int:
                return 4

        # When it counts workers, Then it is an int from there on
        workers = _resolve(workers=Four()).workers
        assert (workers, type(workers)) == (4, int)

    def test_a_huge_value_does_not_make_a_huge_message(self) -> None:
        with pytest.raises(ConfigValueError) as caught:
            _resolve(on_full="x" * 100_000)
        assert len(str(caught.value)) < 400


class TestPrecedence:
    def test_argument_then_object_then_environment_then_default(self) -> None:
        # Given the same parameter at every source, then one source fewer each time
        environ = {"CATZILLA_QUEUE_SIZE": "30"}
        config = SystemConfig(queue_size=20)
        # Then the first that says something wins, and the origin says which
        got = [
            _resolve(config, environ, queue_size=10),
            _resolve(config, environ),
            _resolve(None, environ),
            _resolve(None, {}),
        ]
        assert [one.queue_size for one in got] == [10, 20, 30, 10_000]
        assert [one.origin("queue_size") for one in got] == [
            "argument",
            "config object",
            "environment variable CATZILLA_QUEUE_SIZE",
            "default",
        ]

    def test_a_config_object_decides_only_what_it_was_given(self) -> None:
        # Given a config object that says something else than its neighbour in the environment
        resolved = _resolve(SystemConfig(on_full="block"), {"CATZILLA_QUEUE_SIZE": "7"})
        # Then both are used
        assert (resolved.on_full, resolved.queue_size) == ("block", 7)

    def test_an_object_wins_even_with_the_default_value(self) -> None:
        assert _resolve(SystemConfig(queue_size=10_000), {"CATZILLA_QUEUE_SIZE": "7"}).queue_size == 10_000

    def test_none_means_not_given_where_none_is_the_default(self) -> None:
        # When an argument is None where that is the default, Then the next source is asked
        assert _resolve(None, {"CATZILLA_WORKERS": "7"}, workers=None).workers == 7
        assert _resolve(SystemConfig(workers=5), {"CATZILLA_WORKERS": "7"}, workers=None).workers == 5

    def test_what_is_outranked_is_not_looked_at(self) -> None:
        assert _resolve(None, {"CATZILLA_WORKERS": "many"}, workers=3).workers == 3
        assert _resolve(SystemConfig(workers=3), {"CATZILLA_WORKERS": "many"}).workers == 3

    def test_a_resolved_config_can_be_resolved_again(self) -> None:
        # Given a configuration whose bounds were computed around 8 workers
        first = _resolve(workers=8)
        # When it is the base of another with fewer than the computed minimum
        again = _resolve(first, workers=1)
        # Then what nobody chose adapts again
        assert (again.min_workers, again.workers) == (1, 1)


class TestEnvironment:
    @pytest.mark.parametrize("name", sorted(PARAMETERS))
    def test_every_parameter_has_a_variable(self, name: str) -> None:
        # Given each good value, written as text
        for value in GOOD[name]:
            resolved = _resolve(None, {f"CATZILLA_{name.upper()}": f" {value} "})
            # Then it is read back, spaces around it ignored
            assert getattr(resolved, name) == (value.strip() if isinstance(value, str) else value)

    @pytest.mark.parametrize(("name", "text"), _each(BAD_TEXTS))
    def test_a_bad_text_names_the_variable(self, name: str, text: str) -> None:
        # When the variable says something else, Then it is an error of value that names the variable
        with pytest.raises(ConfigValueError) as caught:
            _resolve(None, {f"CATZILLA_{name.upper()}": text})
        assert str(caught.value).startswith(
            f"{name}={text!r} (from environment variable CATZILLA_{name.upper()}) is not allowed: "
        )

    @pytest.mark.parametrize("text", ["1", "true", "True", "YES", "on"])
    def test_true_texts(self, text: str) -> None:
        assert _resolve(None, {"CATZILLA_MEMORY_PROFILING": text}).memory_profiling is True

    @pytest.mark.parametrize("text", ["0", "false", "False", "NO", "off"])
    def test_false_texts(self, text: str) -> None:
        assert _resolve(None, {"CATZILLA_USE_JEMALLOC": text}).use_jemalloc is False

    def test_an_empty_variable_says_nothing(self) -> None:
        assert _resolve(None, {"CATZILLA_QUEUE_SIZE": "  "}).queue_size == 10_000

    def test_the_process_environment_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CATZILLA_QUEUE_SIZE", "11")
        assert resolve().queue_size == 11


class TestWorkerCounts:
    @pytest.mark.parametrize(
        ("cpus", "arguments", "expected"),
        [
            (1, {}, (2, 2, 32)),
            (4, {}, (2, 4, 32)),
            (16, {}, (2, 16, 64)),
            (4, {"workers": 1}, (1, 1, 32)),
            (4, {"workers": 100}, (2, 100, 100)),
            (4, {"min_workers": 10}, (10, 10, 32)),
            (4, {"min_workers": 50}, (50, 50, 50)),
            (4, {"max_workers": 1}, (1, 1, 1)),
            (16, {"max_workers": 8}, (2, 8, 8)),
            (4, {"workers": 3, "max_workers": 3}, (2, 3, 3)),
            (4, {"min_workers": 2, "max_workers": 32, "workers": 16}, (2, 16, 32)),
            (2000, {}, (2, 2000, 4096)),
        ],
    )
    def test_what_nobody_chose_adapts(self, cpus: int, arguments: Any, expected: tuple[int, int, int]) -> None:
        resolved = resolve(None, arguments, environ={}, cpus=cpus)
        assert (resolved.min_workers, resolved.workers, resolved.max_workers) == expected

    @pytest.mark.parametrize(
        "arguments",
        [
            {"min_workers": 5, "max_workers": 4},
            {"workers": 5, "max_workers": 4},
            {"workers": 3, "min_workers": 4},
        ],
    )
    def test_chosen_ones_that_contradict_are_an_error(self, arguments: Any) -> None:
        # When two counts that somebody chose cannot both hold
        with pytest.raises(ConfigValueError) as caught:
            _resolve(**arguments)
        # Then both are named with their values
        for name, value in arguments.items():
            assert f"{name}={value} (from argument)" in str(caught.value)

    def test_the_error_names_both_origins(self) -> None:
        with pytest.raises(ConfigValueError) as caught:
            _resolve(None, {"CATZILLA_MAX_WORKERS": "4"}, workers=8)
        assert "workers=8 (from argument)" in str(caught.value)
        assert "max_workers=4 (from environment variable CATZILLA_MAX_WORKERS)" in str(caught.value)

    def test_without_a_count_the_machine_is_asked(self) -> None:
        assert resolve(environ={}).workers >= 2


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("make", "kind", "origin"),
        [
            (lambda: SystemConfig(wrokers=1), ConfigTypeError, "argument"),  # type: ignore[call-arg]
            (lambda: resolve(None, {"wrokers": 1}), ConfigTypeError, "argument"),
            (lambda: SystemConfig.from_mapping({"wrokers": 1}), ConfigValueError, "mapping"),
            (lambda: SystemConfig(workers=1).replace(wrokers=1), ConfigTypeError, "argument"),  # type: ignore[call-arg]
        ],
    )
    def test_the_nearest_name_is_offered(self, make: Any, kind: type[Exception], origin: str) -> None:
        with pytest.raises(kind, match=rf"unknown parameter 'wrokers' \(from {origin}\): did you mean 'workers'\?"):
            make()

    def test_all_names_are_listed_where_none_is_near(self) -> None:
        with pytest.raises(ConfigTypeError) as caught:
            resolve(None, {"zzz": 1})
        assert "did you mean" not in str(caught.value)
        assert all(name in str(caught.value) for name in PARAMETERS)

    def test_a_key_that_is_no_string(self) -> None:
        with pytest.raises(ConfigValueError, match="unknown parameter 3"):
            SystemConfig.from_mapping({3: 1})  # type: ignore[dict-item]

    def test_something_else_than_a_config_object(self) -> None:
        with pytest.raises(ConfigTypeError, match="config must be a SystemConfig, not a dict"):
            resolve({"workers": 1})  # type: ignore[arg-type]


class TestUnknownVariables:
    @pytest.fixture(autouse=True)
    def _nothing_was_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(variables, "_warned", set())

    def test_a_misspelt_one_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            assert _resolve(environ={"CATZILLA_WORKER": "3", "CATZILLA_WORKERS": "2"}).workers == 2
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.getMessage() == "environment variable CATZILLA_WORKER is not read: did you mean CATZILLA_WORKERS?"

    @pytest.mark.parametrize("name", ["CATZILLA_PORT", "CATZILLA_TEST_ALL", "CATZILLA_CACHE_DIR", "WORKERS"])
    def test_what_is_somebody_elses_is_not(self, caplog: pytest.LogCaptureFixture, name: str) -> None:
        _resolve(environ={name: "tcp://10.0.0.1:80"})
        assert not caplog.records

    def test_every_variable_that_the_package_reads_is_known(self) -> None:
        names = re.compile(r'"(CATZILLA_[A-Z_]+)"')
        package = Path(variables.__file__).parent
        read = {name for file in package.rglob("*.py") for name in names.findall(file.read_text(encoding="utf-8"))}
        assert "CATZILLA_CACHE_DIR" in read
        assert not variables.unknown(read)

    def test_every_variable_of_the_build_is_known(self) -> None:
        text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
        read = re.findall(r"^if\.env\.(CATZILLA_\w+)", text, re.MULTILINE)
        assert "CATZILLA_PURE" in read
        assert not variables.unknown(read)


class TestMapping:
    def test_values_and_origin(self) -> None:
        config = SystemConfig.from_mapping({"workers": 3, "backend": None})
        assert (config.workers, config.origin("workers"), config.origin("backend")) == (3, "mapping", "default")

    def test_a_bad_value_names_the_mapping(self) -> None:
        with pytest.raises(ConfigTypeError, match=r"workers='3' of type str \(from mapping\)"):
            SystemConfig.from_mapping({"workers": "3"})

    @pytest.mark.parametrize("thing", [[("workers", 1)], None, "workers=1"])
    def test_only_mappings(self, thing: Any) -> None:
        with pytest.raises(ConfigTypeError, match="takes a mapping"):
            SystemConfig.from_mapping(thing)


class TestToml:
    @pytest.mark.parametrize(
        "text",
        [
            'workers = 3\nenable_profiling = "full"\n',
            '[catzilla]\nworkers = 3\nenable_profiling = "full"\n[other]\nx = 1\n',
            '[project]\nname = "x"\n[tool.catzilla]\nworkers = 3\nenable_profiling = "full"\n',
        ],
    )
    def test_where_the_table_may_be(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "settings.toml"
        file.write_text(text, encoding="utf-8")
        for path in (file, str(file)):
            config = SystemConfig.from_toml(path)
            assert (config.workers, config.enable_profiling) == (3, "full")
            assert config.origin("workers") == f"file {file}"

    @pytest.mark.parametrize(
        ("content", "kind", "words"),
        [
            (b"workers = 0", ConfigValueError, "workers=0 (from file {file}) is not allowed"),
            (b"workers = true", ConfigTypeError, "workers=True of type bool (from file {file})"),
            (b"workerz = 1", ConfigValueError, "unknown parameter 'workerz' (from file {file}): did you mean"),
            (b"workers = ", ConfigValueError, "file {file} is not valid TOML"),
            (b"on_full = '\xff'", ConfigValueError, "file {file} is not valid TOML"),
            (b"tool.catzilla = 3", ConfigTypeError, "tool.catzilla in file {file} must be a table, not an int"),
            (b"[tool.catzila]\nworkers = 3", ConfigValueError, "(is [tool.catzila] meant to be one?)"),
            (b"[project]\nname = 'x'", ConfigValueError, "file {file} has no table [tool.catzilla] or [catzilla]: put"),
            (b"workers = 3\n[project]\nname = 'x'", ConfigValueError, "unknown parameter 'project' (from file {file})"),
        ],
    )
    def test_mistakes_name_the_file(self, tmp_path: Path, content: bytes, kind: type[Exception], words: str) -> None:
        file = tmp_path / "settings.toml"
        file.write_bytes(content)
        with pytest.raises(kind) as caught:
            SystemConfig.from_toml(file)
        assert words.format(file=file) in str(caught.value)

    def test_a_missing_file_is_an_oserror(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            SystemConfig.from_toml(tmp_path / "absent.toml")


class TestObject:
    def test_it_is_immutable(self) -> None:
        config = SystemConfig(workers=1)
        with pytest.raises(AttributeError, match=r"use \.replace\(workers=\.\.\.\)"):
            config.workers = 2
        with pytest.raises(AttributeError):
            del config.workers
        with pytest.raises(AttributeError):
            config.unknown = 2

    def test_replace_gives_a_copy(self) -> None:
        config = SystemConfig(workers=1, on_full="block")
        other = config.replace(workers=2)
        assert (config.workers, other.workers, other.on_full) == (1, 2, "block")

    def test_equal_hashed_and_shown_by_value(self) -> None:
        one, other = SystemConfig(workers=1, queue_size=5), SystemConfig(queue_size=5, workers=1)
        assert one == other
        assert hash(one) == hash(other)
        assert one != SystemConfig(workers=1)
        assert repr(one) == "SystemConfig(workers=1, queue_size=5)"
        assert one != 1

    @pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
    def test_copies_keep_value_and_origin(self, remake: Any) -> None:
        config = SystemConfig.from_mapping({"workers": 3})
        again = remake(config)
        assert again == config
        assert again.origin("workers") == "mapping"

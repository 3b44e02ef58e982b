"""Choosing a backend: by name or refuse, ``auto`` only past what was not built."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import catzilla.backends
from catzilla import registry
from catzilla.errors import BackendError, BackendUnavailable, ConfigTypeError, UnknownBackend

GOOD = """
class Backend:
    name = {name!r}
    features = frozenset({{"x"}})
    handle_type = object
    def open(self, config): ...
"""


class BuiltIns:
    """Backends that are built in for one test: package folders beside the real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch
        monkeypatch.setattr(catzilla.backends, "__path__", [*catzilla.backends.__path__, str(folder)])
        monkeypatch.setattr(registry, "_warned", set())

    def order(self, *names: str) -> None:
        self._patch.setattr(registry, "BUILT_IN", names)

    def add(self, name: str, source: str = "", native: str = "") -> Path:
        """A package with that ``__init__``; ``native`` names a file that is no module for this Python."""
        package = self._folder / name
        package.mkdir()
        package.joinpath("__init__.py").write_text(textwrap.dedent(source), encoding="utf-8")
        if native:
            package.joinpath(native).write_bytes(b"\x7fELF")
        self._patch.delitem(sys.modules, f"catzilla.backends.{name}", raising=False)
        return package

    def good(self, name: str) -> None:
        self.add(name, GOOD.format(name=name) + "BACKEND = Backend()\n")

    def not_built(self, name: str) -> None:
        self.add(name, f"from catzilla.backends.{name}._native import BACKEND\n")

    def broken(self, name: str) -> None:
        self.add(name, 'raise ImportError("cannot allocate memory in static TLS block")\n')


@pytest.fixture
def built_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuiltIns:
    folder = tmp_path / "built_ins"
    folder.mkdir()
    return BuiltIns(folder, monkeypatch)


class Distributions:
    """Distributions of third parties, as pip leaves them: a module and an entry point."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, points: str, module: str = "", source: str = "") -> None:
        info = self._folder / f"{name}-1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        info.joinpath("entry_points.txt").write_text(f"[catzilla.backends]\n{points}\n", encoding="utf-8")
        if module:
            self._folder.joinpath(f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")


@pytest.fixture
def distributions(_bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distributions:
    folder = tmp_path / "site"
    folder.mkdir()
    # Not syspath_prepend: on undo it writes what _bare left into the list that _bare put aside.
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return Distributions(folder)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No backend is chosen from outside, and the toy that other tests register is out of sight."""
    monkeypatch.delenv("CATZILLA_BACKEND", raising=False)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry).name != "third_party"])


class TestNamed:
    def test_the_reference_is_always_there(self) -> None:
        assert registry.load("python").name == "python"

    def test_why_the_build_left_it_out_is_said(self, built_ins: BuiltIns) -> None:
        # Given a built-in backend that the build left out, with a note
        built_ins.not_built("fast")
        Path(catzilla.backends.__path__[-1], "fast", "left_out.txt").write_text("no C++20\n", encoding="utf-8")
        built_ins.order("fast")
        # When it is named, then the note is the cause
        with pytest.raises(BackendUnavailable, match=r"not built: the build left it out: no C\+\+20"):
            registry.load("fast")

    def test_one_that_was_not_built_is_refused(self, built_ins: BuiltIns) -> None:
        # Given a built-in backend without its native module, and a good one
        built_ins.not_built("fast")
        built_ins.good("slow")
        built_ins.order("fast", "slow")
        # When it is named, Then it is never replaced: the error has cause and remedy and is an ImportError
        with pytest.raises(BackendUnavailable) as caught:
            registry.load("fast")
        text = str(caught.value)
        assert "backend 'fast' (from argument) cannot be used here" in text
        assert "not built: this install has no native module" in text
        assert "CATZILLA_REQUIRE_EXTENSIONS=1" in text
        assert isinstance(caught.value, ImportError)
        assert isinstance(caught.value, BackendError)

    def test_one_that_this_install_leaves_out_is_refused(self, built_ins: BuiltIns) -> None:
        built_ins.order("nowhere", "python")
        with pytest.raises(BackendUnavailable, match="not built: it is not part of this install"):
            registry.load("nowhere")

    def test_sources_without_the_package_are_no_backend(self, built_ins: BuiltIns, tmp_path: Path) -> None:
        # Given a directory in the place of a backend, as a checkout has it while the backend is being written
        (tmp_path / "built_ins" / "sources").mkdir()
        built_ins.order("sources", "python")
        with pytest.raises(BackendUnavailable, match="not built: it is not part of this install"):
            registry.load("sources")
        assert registry.load("auto").name == "python"

    def test_one_that_is_broken_gives_its_cause(self, built_ins: BuiltIns) -> None:
        built_ins.broken("fast")
        built_ins.order("fast")
        with pytest.raises(BackendUnavailable, match="static TLS block") as caught:
            registry.load("fast")
        # Then the module's own error is chained, with its traceback
        assert isinstance(caught.value.__cause__, ImportError)
        assert caught.value.__cause__.__traceback__ is not None

    def test_the_error_says_who_asked(self, monkeypatch: pytest.MonkeyPatch, built_ins: BuiltIns) -> None:
        built_ins.broken("fast")
        built_ins.order("fast")
        with pytest.raises(BackendUnavailable, match=r"\(from file settings\.toml\)"):
            registry.load("fast", "file settings.toml")
        monkeypatch.setenv("CATZILLA_BACKEND", "fast")
        with pytest.raises(BackendUnavailable, match=r"\(from environment variable CATZILLA_BACKEND\)"):
            registry.load()

    def test_a_backend_of_its_own_kind_of_wrong(self, built_ins: BuiltIns) -> None:
        # Given a package that forgot BACKEND
        built_ins.add("fast")
        built_ins.order("fast")
        with pytest.raises(BackendUnavailable, match=r"fast\.BACKEND is not a backend: it is missing or None"):
            registry.load("fast")


class TestUnknown:
    def test_all_names_are_listed(self, distributions: Distributions) -> None:
        distributions.add("somebody", "theirs = somebody:BACKEND")
        with pytest.raises(UnknownBackend) as caught:
            registry.load("zzz")
        assert str(caught.value) == (
            "unknown backend 'zzz' (from argument): the names are auto, c, cpp, python, theirs"
        )
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize(("typo", "meant"), [("pyhton", "python"), ("CPP", "cpp"), ("Auto", "auto")])
    def test_a_near_one_is_offered(self, typo: str, meant: str) -> None:
        with pytest.raises(UnknownBackend, match=f"did you mean '{meant}'"):
            registry.load(typo)

    @pytest.mark.parametrize("name", [3, b"c", object])
    def test_something_that_is_no_name(self, name: object) -> None:
        with pytest.raises(ConfigTypeError, match="must be the name of a backend"):
            registry.load(name)  # type: ignore[arg-type]


class TestAuto:
    def test_the_first_usable_one(self, built_ins: BuiltIns) -> None:
        built_ins.good("one")
        built_ins.good("two")
        built_ins.order("one", "two")
        assert registry.load("auto").name == "one"
        assert registry.load().name == "one"

    def test_what_was_not_built_is_passed_quietly(self, built_ins: BuiltIns) -> None:
        # Given a native backend that was not built, and one that is no part of this install
        built_ins.not_built("fast")
        built_ins.good("slow")
        built_ins.order("nowhere", "fast", "slow")
        # Then auto says nothing
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert registry.load("auto").name == "slow"

    @pytest.mark.parametrize(
        ("source", "native", "words"),
        [
            ('raise ImportError("wrong ABI")', "", "ImportError: wrong ABI"),
            ('raise OSError("no such symbol")', "", "OSError: no such symbol"),
            ("import a_module_that_nobody_has", "", "ModuleNotFoundError: No module named 'a_module"),
            ("1 +", "", "SyntaxError"),
            (
                "from catzilla.backends.fast._native import BACKEND",
                "_native.cpython-36m-x86_64-linux-gnu.so",
                "was not built for this Python",
            ),
        ],
    )
    def test_what_is_there_and_fails_is_warned_of_once(
        self, built_ins: BuiltIns, source: str, native: str, words: str
    ) -> None:
        # Given a native module that is there and does not load
        built_ins.add("fast", source, native)
        built_ins.good("slow")
        built_ins.order("fast", "slow")
        # When auto passes it, Then it warns, with the cause, at the caller
        with pytest.warns(RuntimeWarning, match="fast: broken") as seen:
            assert registry.load("auto").name == "slow"
        assert words in str(seen[0].message)
        assert seen[0].filename == __file__
        # When it passes it again, Then it does not
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert registry.load("auto").name == "slow"

    def test_nothing_is_usable(self, built_ins: BuiltIns) -> None:
        # Given only backends that cannot be used
        built_ins.not_built("fast")
        built_ins.broken("slow")
        built_ins.order("fast", "slow")
        # Then the error has every attempt, and nobody is told that anything goes on
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(BackendUnavailable) as caught:
                registry.load("auto")
        assert "fast: not built" in str(caught.value)
        assert "slow: broken" in str(caught.value)

    @pytest.mark.parametrize(("text", "name"), [("two", "two"), (" two ", "two"), ("", "one"), ("auto", "one")])
    def test_the_variable_decides_where_nothing_is_named(
        self, monkeypatch: pytest.MonkeyPatch, built_ins: BuiltIns, text: str, name: str
    ) -> None:
        built_ins.good("one")
        built_ins.good("two")
        built_ins.order("one", "two")
        monkeypatch.setenv("CATZILLA_BACKEND", text)
        assert registry.load().name == name
        assert registry.load("one").name == "one"
        assert registry.load("auto").name == "one"  # asked for, so the variable is not


class TestThirdParty:
    def test_a_registered_one_is_used(self, distributions: Distributions) -> None:
        distributions.add(
            "dist", "theirs = theirs_good:BACKEND", "theirs_good", GOOD.format(name="theirs") + "BACKEND = Backend()"
        )
        assert registry.load("theirs").name == "theirs"
        assert registry.names() == ["c", "cpp", "python", "theirs"]

    def test_a_built_in_name_cannot_be_taken(self, distributions: Distributions) -> None:
        # Given a distribution that registers the names that are built in
        distributions.add("thief", "python = thief:BACKEND\nauto = thief:BACKEND", "thief", "raise SystemExit('ran')")
        # Then nothing of it is even imported
        assert type(registry.load("python")).__module__.startswith("catzilla.")
        assert "thief" not in sys.modules
        assert registry.names() == ["c", "cpp", "python"]

    def test_entry_points_are_read_only_for_other_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def never() -> None:
            raise AssertionError("entry points were read")

        monkeypatch.setattr(registry, "_registered", never)
        assert registry.load("python").name == "python"
        assert registry.load("auto").name in registry.BUILT_IN

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("BACKEND = None", "it is missing or None"),
            ("class BACKEND: pass", "it is the class BACKEND, an instance is wanted"),
            (
                "BACKEND = object()",
                "it has no attribute 'name'; it has no attribute 'features'; "
                "it has no attribute 'handle_type'; it has no method 'open'",
            ),
            (GOOD.format(name="other") + "BACKEND = Backend()", "its name is 'other', registered as 'theirs'"),
            (
                GOOD.format(name="theirs").replace("frozenset", "list") + "BACKEND = Backend()",
                "its 'features' is a list, a frozenset of str is wanted",
            ),
            (
                GOOD.format(name="theirs").replace("= object", "= 3") + "BACKEND = Backend()",
                "its 'handle_type' is an int, a class is wanted",
            ),
            ("import nothing_like_this", "fails to load: ModuleNotFoundError"),
            ("", "fails to load: AttributeError"),
        ],
    )
    def test_what_is_no_backend_says_why(
        self, distributions: Distributions, monkeypatch: pytest.MonkeyPatch, source: str, words: str
    ) -> None:
        # Given a distribution whose object is not a backend
        monkeypatch.delitem(sys.modules, "theirs_bad", raising=False)
        distributions.add("dist", "theirs = theirs_bad:BACKEND", "theirs_bad", source)
        # When it is named, Then the error says what is wrong and whom to tell
        with pytest.raises(BackendUnavailable) as caught:
            registry.load("theirs")
        assert words in str(caught.value)
        assert "report it to the authors of dist" in str(caught.value)
        sys.modules.pop("theirs_bad", None)

    def test_two_distributions_with_one_name(self, distributions: Distributions) -> None:
        distributions.add("one", "theirs = one:BACKEND")
        distributions.add("two", "theirs = two:BACKEND")
        with pytest.raises(BackendUnavailable, match=r"registered more than once: one .*two"):
            registry.load("theirs")


class TestAttempts:
    def test_every_name_is_tried_and_nothing_is_raised(self, built_ins: BuiltIns, distributions: Distributions) -> None:
        # Given one backend of each kind
        built_ins.good("good")
        built_ins.not_built("unbuilt")
        built_ins.broken("broken")
        built_ins.order("good", "unbuilt", "broken")
        distributions.add("dist", "theirs = nothing_like_this:BACKEND")
        # When all are tried
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = registry.attempts()
        # Then each says what came of it
        assert [(attempt.name, attempt.status) for attempt in found] == [
            ("good", registry.USABLE),
            ("unbuilt", registry.NOT_BUILT),
            ("broken", registry.BROKEN),
            ("theirs", registry.BROKEN),
        ]
        assert found[0].backend is not None
        assert all(attempt.cause for attempt in found[1:])
        assert "good: usable" in str(found[0])


def test_a_subinterpreter_is_refused(tmp_path: Path) -> None:
    # Given a subinterpreter, in a process of its own
    script = tmp_path / "sub.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            try:
                import _interpreters as interpreters
            except ImportError:
                import _xxsubinterpreters as interpreters
            made = interpreters.create()
            interpreters.run_string(made, '''
            from catzilla import registry
            from catzilla.errors import BackendUnavailable
            try:
                registry.load("python")
            except BackendUnavailable as error:
                print("refused:", error)
            '''.replace(chr(10) + " " * 12, chr(10)))
            """
        ),
        encoding="utf-8",
    )
    # When it asks for a backend
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    # Then it is refused, with what to do instead
    assert "refused: Catzilla does not run in a subinterpreter" in ran.stdout, ran.stderr

"""conformance/README.md names every suite, and its sample has a subclass of each."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from catzilla import conformance
from catzilla.conformance.life import LifeTests
from catzilla.conformance.suite import BackendSuite

README = (Path(__file__).parent.parent.parent / "conformance" / "README.md").read_text(encoding="utf-8")
SUITES = {
    LifeTests.__name__,
    *(
        name
        for name, cls in vars(conformance).items()
        if inspect.isclass(cls) and issubclass(cls, BackendSuite) and name.endswith("Tests")
    ),
}


def test_every_suite_is_in_the_table() -> None:
    assert len(SUITES) == 10
    assert {name.removeprefix("life.") for name in re.findall(r"^\| `([\w.]+Tests)`", README, re.MULTILINE)} == SUITES


def test_every_suite_is_in_the_sample() -> None:
    [sample] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    bases = [ast.unparse(node.bases[0]) for node in ast.parse(sample).body if isinstance(node, ast.ClassDef)]
    assert sorted(base.removeprefix("conformance.") for base in bases) == sorted(SUITES)

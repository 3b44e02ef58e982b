"""Run by test_sanitizers.py in a process with the sanitizers loaded: prints how many calls ran."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import FOUND
from corpus import arithmetic, data, everyday, tasks, text
from differential import check
from test_corpus import compiled

from catzilla.compiler.kernel import load
from catzilla.compiler.mapper import MapRun, types_of_columns
from catzilla.compiler.unit import Unit

cc = FOUND["cc"]
flags = tuple(flag for flag in cc.flags if flag not in ("-O2", "-fwrapv"))
cc = cc._replace(flags=(*flags, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
hits = 0
for module in (arithmetic, text, data, tasks, everyday):
    for fn, cases in module.CALLS[:: int(sys.argv[1])]:
        kernel = compiled(fn, cases, cc)
        if kernel is not None:
            hits += sum(check(kernel, fn, args) for args in cases)


def steps(n: int) -> int:
    """Takes memory, and gives it back after each element."""
    seen = [n]
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        seen.append(n)
    return len(seen)


for letter, out, numbers in (
    ("q", "q", range(5000)),
    ("H", "b", range(1000)),
    ("q", "d", [1, 2**62 + 1, 2**63 - 1, 7]),
):
    columns = array(letter, numbers)
    results = memoryview(bytearray(8 * len(columns))).cast(out)[: len(columns)]
    run = MapRun(load(Unit(steps, types_of_columns(letter), (letter, out)), cc), [memoryview(columns)], results)
    at, left = 0, set()
    while at < len(columns):
        at, why = run.go(at, len(columns))
        if why is not None:
            left.add(at)  # to Python
            at += 1
    assert len(left) <= len(columns) / 2
    assert all(index in left or results[index] == steps(n) for index, n in enumerate(numbers))
    hits += len(columns) - len(left)
print(hits)

"""Run by test_sanitizers.py in a process with the sanitizers loaded: prints how many calls ran."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import FOUND
from corpus import arithmetic, data, tasks, text
from differential import check
from test_corpus import compiled

cc = FOUND["cc"]
flags = tuple(flag for flag in cc.flags if flag not in ("-O2", "-fwrapv"))
cc = cc._replace(flags=(*flags, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
hits = 0
for module in (arithmetic, text, data, tasks):
    for fn, cases in module.CALLS[:: int(sys.argv[1])]:
        kernel = compiled(fn, cases, cc)
        if kernel is not None:
            hits += sum(check(kernel, fn, args) for args in cases)
print(hits)

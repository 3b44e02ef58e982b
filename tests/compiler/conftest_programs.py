"""Programs from a small grammar: typed enough that most of them run, wild enough to find what differs."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

EDGE_INTS = [0, 1, -1, 2, 7, 63, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
EDGE_FLOATS = [0.0, -0.0, 1.0, 0.1, -2.5, 1e16, 1e308, 5e-324, float("inf"), float("nan")]

ARGUMENTS = st.tuples(
    st.one_of(st.sampled_from(EDGE_INTS), st.integers(-20, 20), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.sampled_from(EDGE_FLOATS), st.floats()),
    st.one_of(st.sampled_from(["", "a", "é", "\ud800", "\U0001f600", "12"]), st.text(max_size=6)),
    st.lists(st.one_of(st.sampled_from(EDGE_INTS), st.integers(-9, 9)), max_size=5),
    st.booleans(),
)


@st.composite
def program(draw: Any) -> str:
    return random_program(draw(st.randoms(use_true_random=False)))


def random_program(rng: random.Random) -> str:
    """A function of an int, a float, a str, a list of ints and a bool."""
    writer = Writer(rng)
    writer.block(1, rng.randrange(2, 6))
    head = "def f(i: int, x: float, s: str, xs: list, b: bool):\n"
    return head + "\n".join(writer.lines) + f"\n    return {writer.returned()}\n"


class Writer:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines: list[str] = ["    n = 0", "    y = 0.5", "    t = ''", "    out = []", "    d = {}"]
        self.ints = ["i", "n"]
        self.floats = ["x", "y"]
        self.texts = ["s", "t"]
        self.loops = 0

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        kind = self.rng.randrange(16 if depth < 4 else 9)
        if kind == 0:
            self.add(depth, f"n = {self.int(2)}")
        elif kind == 1:
            self.add(depth, f"y = {self.float(2)}")
        elif kind == 2:
            self.add(depth, f"t = {self.text(1)}")
        elif kind == 3:
            self.add(depth, f"n {self.rng.choice(['+=', '-=', '*=', '//=', '%=', '^='])} {self.int(1)}")
        elif kind == 4:
            self.add(depth, f"out.append({self.rng.choice([self.int(1), self.int(1), self.float(1), self.text(1)])})")
        elif kind == 5:
            self.add(depth, f"d[{self.text(0)}] = {self.any(1)}")
        elif kind == 6:
            self.add(depth, f"print({self.any(1)}, {self.any(0)}, sep={self.rng.choice(['None', repr('-')])})")
        elif kind == 7:
            self.add(
                depth, f"z = {self.any(1)}" if self.rng.random() < 0.7 else f"n, y = {self.int(1)}, {self.float(1)}"
            )
        elif kind == 8:
            self.add(depth, f"if {self.condition(1)}: return {self.any(1)}")
        elif kind <= 11:
            self.add(depth, f"if {self.condition(2)}:")
            self.block(depth + 1, self.rng.randrange(1, 3))
            if self.rng.random() < 0.5:
                self.add(depth, "else:")
                self.block(depth + 1, self.rng.randrange(1, 3))
        elif kind == 12:
            self.loop(
                depth,
                f"for k{self.loops} in range({self.rng.randrange(5)}, {self.rng.randrange(8)}, {self.rng.choice([1, 2, -1])}):",
            )
        elif kind == 13:
            self.loop(depth, self.rng.choice([f"for k{self.loops} in xs:", f"for _, k{self.loops} in enumerate(xs):"]))
        elif kind == 14:
            self.add(depth, f"t += ''.join(c for c in s if c {self.rng.choice(['<', '!='])} 'm')")
        else:
            name = f"w{self.loops}"
            self.loops += 1
            self.add(depth, f"{name} = {self.rng.randrange(5)}")
            self.add(depth, f"while {name} > 0:")
            self.add(depth + 1, f"{name} -= 1")
            self.block(depth + 1, self.rng.randrange(1, 3))
            if self.rng.random() < 0.4:
                self.add(depth + 1, f"if {self.condition(1)}: {self.rng.choice(['break', 'continue'])}")

    def loop(self, depth: int, head: str) -> None:
        name = f"k{self.loops}"
        self.loops += 1
        self.add(depth, head)
        self.ints.append(name)
        self.block(depth + 1, self.rng.randrange(1, 3))
        if self.rng.random() < 0.3:
            self.add(depth + 1, f"if {self.condition(1)}: {self.rng.choice(['break', 'continue'])}")
        if self.rng.random() < 0.6:  # else it may be read after the loop, with or without a value
            self.ints.remove(name)

    def int(self, depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return rng.choice(
                [*self.ints, str(rng.randrange(-3, 9)), str(rng.choice([2**31, 2**53, 2**62])), "len(s)", "len(xs)"]
            )
        kind = rng.randrange(9)
        if kind < 4:
            return (
                f"({self.int(depth - 1)} {rng.choice(['+', '-', '*', '//', '%', '&', '|', '^'])} {self.int(depth - 1)})"
            )
        return [
            f"(-{self.int(depth - 1)})",
            f"abs({self.int(depth - 1)})",
            f"(xs[{self.int(0)}] if xs else {self.int(0)})",
            f"({self.int(depth - 1)} if {self.condition(depth - 1)} else {self.int(depth - 1)})",
            f"{rng.choice(['min', 'max', 'sum'])}([{self.int(depth - 1)}, {self.int(0)}])",
        ][kind - 4]

    def float(self, depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return rng.choice([*self.floats, "1.5", "-0.0", "1e308", "float(i)"])
        kind = rng.randrange(7)
        if kind < 4:
            right = rng.choice([self.float(depth - 1), self.int(depth - 1)])
            return f"({self.float(depth - 1)} {rng.choice(['+', '-', '*', '/', '//', '%'])} {right})"
        return [f"(-{self.float(depth - 1)})", f"abs({self.float(depth - 1)})", f"round({self.float(depth - 1)}, 3)"][
            kind - 4
        ]

    def text(self, depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.3:
            return rng.choice([*self.texts, "'k'", "'é'", "''"])
        return rng.choice(
            [
                f"({self.text(depth - 1)} + {self.text(0)})",
                f"f'{{{self.int(0)}}}:{{{self.float(0)}}}'",
                f"{self.text(0)}[{rng.choice(['1:', ':-1', '::-1', ':2'])}]",
                f"{self.text(0)}.{rng.choice(['upper()', 'strip()', 'title()', 'replace(chr(97), chr(233))'])}",
                f"str({self.any(0)})",
            ]
        )

    def condition(self, depth: int) -> str:
        rng = self.rng
        if depth <= 0:
            return rng.choice(["b", f"{self.int(0)} > {self.int(0)}", "xs", "s", "x"])
        return rng.choice(
            [
                f"{self.int(depth - 1)} {rng.choice(['<', '==', '>='])} {self.int(depth - 1)}",
                f"{self.float(depth - 1)} {rng.choice(['<', '==', '>='])} {self.int(depth - 1)}",
                f"({self.condition(depth - 1)} {rng.choice(['and', 'or'])} {self.condition(depth - 1)})",
                f"not {self.condition(depth - 1)}",
                f"{self.int(0)} in xs",
                f"{self.text(0)} in {self.text(0)}",
            ]
        )

    def any(self, depth: int) -> str:
        return self.rng.choice([self.int, self.float, self.text])(depth)

    def returned(self) -> str:
        rng = self.rng
        return rng.choice(
            [
                f"{{'n': n, 'y': y, 't': t, 'out': out, 'more': ({self.any(1)}, {self.any(1)})}}",
                "n, y, t, out, d",
                f"[{self.any(1)}, {self.any(1)}, n]",
                "d, [v for v in out]",
            ]
        )

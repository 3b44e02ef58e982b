"""Pools of Go, Rust, oneTBB and moodycamel's queue: programs of ../anchors, built where their tools are."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.contender import KERNELS, NOOPS, SCALES, TREE, Contender, Fn, Offer
from harness.workloads import noop, spin

SOURCES = Path(__file__).parent.parent / "anchors"
BUILT = Path(__file__).parents[2] / ".cache" / "anchors"
BUILD_WITHIN_S = 300


class Anchor(Contender):
    """One process for each workload, kept for the life of the contender."""

    def __init__(self, workers: int, command: Sequence[str]) -> None:
        super().__init__(workers)
        self._command = command
        self._running: dict[tuple[str, int], subprocess.Popen[str]] = {}

    def run(self, workload: str, n: int, turns: int = 0) -> float:
        process = self._running.get((workload, turns))
        if process is None:
            process = self._running[workload, turns] = subprocess.Popen(
                [*self._command, workload, str(turns), str(self.workers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{n}\n")
        process.stdin.flush()
        return float(process.stdout.readline().split()[0])

    def burst(self, fn: Fn, n: int) -> float:
        if fn is noop:
            return self.run("noop", n)
        if isinstance(fn, partial) and fn.func is spin:  # the same steps, in this pool's own language
            return self.run("spin", n, fn.args[0])
        raise ValueError(f"{fn} is not among the workloads of {self._command[0]}")

    def tree(self, depth: int) -> float:
        return self.run("tree", 1, depth)

    def compiled(self, kernel: str, form: str, n: int, turns: int = 0) -> float | None:
        return self.run(kernel, n, turns) if form == "one" else None

    def close(self) -> None:
        for process in self._running.values():
            process.communicate()


def _program(language: str, build: Sequence[str]) -> tuple[Path, list[str]]:
    """Where a program is built to, named by its source and how it is built; and the command that builds it."""
    source = next((SOURCES / language).glob("main.*"))
    mark = hashlib.sha256(source.read_bytes() + " ".join(build).encode()).hexdigest()[:12]
    target = BUILT / f"{language}-{mark}"
    return target, [part.format(source=source, target=target) for part in build]


def _built(target: Path, build: Sequence[str]) -> str:
    """Why there is no program after all; empty: there is one."""
    if target.exists():
        return ""
    BUILT.mkdir(parents=True, exist_ok=True)
    environ = os.environ | {"GOCACHE": str(BUILT / "go-cache"), "GOTOOLCHAIN": "local"}
    try:
        subprocess.run(build, check=True, capture_output=True, text=True, timeout=BUILD_WITHIN_S, env=environ)
    except subprocess.TimeoutExpired:
        return f"not built within {BUILD_WITHIN_S} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        what = next((line for line in lines if "error" in line), "".join(lines[-1:]))
        return f"{build[0]} failed (see benchmarks/anchors/README.md): {what.removeprefix(f'{SOURCES}/')[:160]}"
    return ""


def _version(command: Sequence[str]) -> tuple[str, str]:
    """Of a tool; and why it cannot be used: rustup's rustc is there and does not run before it has a toolchain."""
    if shutil.which(command[0]) is None:
        return "", f"no {command[0]} (see benchmarks/anchors/README.md)"
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip() or str(error)
        return "", f"{' '.join(command)} failed: {said.splitlines()[0][:160]}"
    return told.splitlines()[0].removeprefix("go version "), ""


def _offers(
    names: dict[str, tuple[list[str], str, frozenset[str]]], language: str, build: list[str], version: list[str]
) -> list[Offer]:
    """``names``: for each the arguments of its program, its settings, and what it can."""
    told, absent = _version(version)
    target, command = _program(language, build)
    return [
        Offer(
            name,
            partial(Anchor, command=[str(target), *arguments]),
            can,
            settings,
            absent=absent,
            version=told,
            prepare=partial(_built, target, command),
        )
        for name, (arguments, settings, can) in names.items()
    ]


def offers() -> list[Offer]:
    can = frozenset({NOOPS, SCALES, KERNELS})
    kept = "results kept, waited for together"
    return [
        *_offers(
            {
                "Go, buffered channel": (["channel"], f"channel of 1024, {kept} with a WaitGroup", can),
                "Go, goroutine per task": (
                    ["goroutine"],
                    f"GOMAXPROCS default, {kept} with a WaitGroup",
                    can | {TREE},
                ),
            },
            "go",
            ["go", "build", "-o", "{target}", "{source}"],
            ["go", "version"],
        ),
        *_offers(
            {"Rust, std mpsc": ([], f"the Rust book's pool, boxed closures, {kept}", can)},
            "rust",
            ["rustc", "--edition", "2021", "-O", "-o", "{target}", "{source}"],
            ["rustc", "--version"],
        ),
        *_offers(
            {"oneTBB task_group": ([], f"{kept}; the submitter runs tasks too while it waits", can | {TREE})},
            "tbb",
            ["g++", "-std=c++17", "-O2", "-o", "{target}", "{source}", "-ltbb"],
            ["g++", "--version"],
        ),
        *_offers(
            {"moodycamel queue": ([], f"BlockingConcurrentQueue of std::function, with tokens, {kept}", can)},
            "moodycamel",
            ["g++", "-std=c++17", "-O2", "-pthread", "-o", "{target}", "{source}"],
            ["g++", "--version"],
        ),
    ]

"""Histories that Hypothesis makes up, against the model of a task's life: every backend."""

from catzilla.conformance.life import LifeTests


class TestLife(LifeTests):
    pass

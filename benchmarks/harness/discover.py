"""Finds contenders and scenarios: every module of the two packages."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import contenders
import scenarios

from harness.contender import Offer
from harness.scenario import Scenario


def _modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def all_offers() -> list[Offer]:
    """Every contender, ours first; also those that are absent, with the reason."""
    offers = [offer for module in _modules(contenders) for offer in module.offers()]
    return sorted(offers, key=lambda offer: not offer.ours)


def all_scenarios() -> list[Scenario]:
    found = [scenario for module in _modules(scenarios) for scenario in module.SCENARIOS]
    return sorted(found, key=lambda scenario: scenario.rank)

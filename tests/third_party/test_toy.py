"""What somebody else writes to test a backend of their own: empty subclasses and one fixture."""

import pytest
from catzilla_toy import BACKEND

from catzilla import conformance
from catzilla.conformance.life import LifeTests
from catzilla.interface import Backend


@pytest.fixture(scope="session")
def backend() -> Backend:
    return BACKEND


class TestQueue(conformance.QueueTests):
    pass


class TestWorkers(conformance.WorkersTests):
    pass


class TestHandle(conformance.HandleTests):
    pass


class TestAllocator(conformance.AllocatorTests):
    pass


class TestMetrics(conformance.MetricsTests):
    pass


class TestSystem(conformance.SystemTests):
    pass


class TestLifecycle(conformance.LifecycleTests):
    pass


class TestFaults(conformance.FaultTests):
    pass


@pytest.mark.stress
class TestStress(conformance.StressTests):
    pass


class TestLife(LifeTests):
    examples = 25

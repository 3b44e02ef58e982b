"""Every backend passes the conformance suite: ``pytest tests/test_conformance.py --backend=python``."""

import pytest

from catzilla import conformance


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


@pytest.mark.stress
class TestStress(conformance.StressTests):
    pass


class TestFaults(conformance.FaultTests):
    pass

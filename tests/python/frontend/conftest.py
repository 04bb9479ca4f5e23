"""Flows that a test writes."""

import pytest
from recording import Probe


@pytest.fixture
def probe(tmp_path):
    """Records a flow of the usual three methods, some of them spoilt."""
    from vortex.flow import registry

    registry._REGISTRY.clear()
    yield Probe(tmp_path / "flow.py")
    registry._REGISTRY.clear()

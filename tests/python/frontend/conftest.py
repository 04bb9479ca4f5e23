"""The package as it was built, and flows that a test writes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from recording import PACKAGE, Probe

sys.path.insert(0, str(PACKAGE))


@pytest.fixture
def probe(tmp_path):
    """Records a flow of the usual three methods, some of them spoilt."""
    from vortex.flow import registry

    registry._REGISTRY.clear()
    yield Probe(tmp_path / "flow.py")
    registry._REGISTRY.clear()

"""What tests with programs of others share."""

from pathlib import Path

import pytest

from tests.gateways.clients.environments import Environments


@pytest.fixture(scope="session")
def environments() -> Environments:
    """Environments that later runs find again."""
    return Environments(Path(__file__).resolve().parents[2] / ".doors")

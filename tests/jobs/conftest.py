"""What tests of jobs leave behind."""

from collections.abc import AsyncIterator

import pytest

from tests.jobs.noted_jobs import change
from tests.service import Service


@pytest.fixture
async def empty_queue(service: Service) -> AsyncIterator[None]:
    """Removes all jobs when the test has ended."""
    yield
    await change(service, "delete from jobs.job")

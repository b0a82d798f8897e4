"""Two cells with their processes, for the tests of a file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cells.world import World, cells_of
from tests.service import Service


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> AsyncIterator[World]:
    async with cells_of(tmp_path_factory.mktemp("world"), model_home, "eu-1", "us-1") as made:
        yield made


@pytest.fixture(scope="module")
async def eu(world: World) -> AsyncIterator[Service]:
    async with world.serving("eu-1") as service:
        yield service


@pytest.fixture(scope="module")
async def us(world: World) -> AsyncIterator[Service]:
    async with world.serving("us-1") as service:
        yield service

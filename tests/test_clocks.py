"""The clocks of the service and the database may differ by half a minute; when they differ by more, that is said."""

import time

import pytest

from tests.factories import ingest
from tests.service import Database, Secrets, running, settings_for

pytestmark = pytest.mark.anyio

_true_time = time.time


@pytest.mark.parametrize("seconds", [-29, 29])
async def test_half_a_minute_either_way_works(
    seconds: int, database: Database, run_secrets: Secrets, model_home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings_for(database, run_secrets, model_home), database) as service:  # type: ignore[arg-type]
        tenant = await service.create_tenant()
        monkeypatch.setattr(time, "time", lambda: _true_time() + seconds)
        assert (await service.ready()).status_code == 200
        await ingest(service, tenant, "d", "Wires leave before noon.")
        found = await service.post("/retrieve", tenant, "analyst", {"query": "wires"})
        assert [context["doc_id"] for context in found.json()["contexts"]] == ["d"]


@pytest.mark.parametrize(("seconds", "ahead"), [(-45, "the database's clock is"), (50, "this machine's clock is")])
async def test_more_makes_the_service_unready_and_it_says_whose_clock_is_ahead(
    seconds: int, ahead: str, database: Database, run_secrets: Secrets, model_home: object, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    async with running(settings_for(database, run_secrets, model_home), database) as service:  # type: ignore[arg-type]
        monkeypatch.setattr(time, "time", lambda: _true_time() + seconds)
        answer = await service.ready()
        assert answer.status_code == 503
        assert ahead in answer.json()["detail"]

"""What the service logs of a busy hour: JSON lines with request id and tenant, and no word of what anyone said."""

import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from backend.embedded_postgres import EmbeddedPostgres
from backend.logging import LogFormat, configure
from tests.service import PASSWORD, Secrets, Service, Tenant, cloned_database, running, settings_for

pytestmark = pytest.mark.anyio

DOCUMENT = "Xylophone clause: a wire leaves before noon."
METADATA = "quetzalcoatl"
QUESTION = "May the zeppelin account of Ms Abercrombie be closed?"
TYPED = "hunter2-instead-of-a-name"


async def busy(service: Service, tenant: Tenant) -> list[str]:
    """Does a bit of everything, well and badly, and returns every secret that came up."""
    form = {"username": "editor", "password": PASSWORD, "client_id": tenant.slug}
    pair = (await service.client.post("/auth/token", data=form)).json()
    refreshing = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    second = (await service.client.post("/auth/token", data=refreshing)).json()
    await service.client.post("/auth/token", data=refreshing)  # reused: ends the session
    await service.client.post("/auth/token", data=form | {"username": TYPED})
    await service.client.post("/auth/token", data=form | {"password": TYPED, "client_id": TYPED})

    chunk = {"doc_id": "d", "chunk_text": DOCUMENT, "source_type": "policy", "metadata": {"note": METADATA}}
    key = (await service.post("/auth/keys", tenant, "admin", {"name": "n", "permissions": ["retrieval:query"]})).json()
    for body in (
        chunk,
        {**chunk, "chunk_text": [DOCUMENT]},
        {**chunk, DOCUMENT: 1},
        {**chunk, "collection": "nonesuch"},
    ):
        await service.post("/ingest", tenant, "editor", body)
        await service.post("/ingest", tenant, "analyst", body)
    for query in ({"query": QUESTION}, {"query": QUESTION, "k": 0}, {"query": QUESTION, "filters": {"note": METADATA}}):
        await service.post("/retrieve", tenant, "analyst", query)
        await service.client.post("/retrieve", json=query, headers={"Authorization": f"Bearer {key['key']}"})
    for question in ({"question": QUESTION}, {"question": QUESTION, "stream": True}, {"question": [QUESTION]}):
        await service.post("/answer", tenant, "analyst", question)
    await service.get("/audit/events", tenant, "compliance", q=QUESTION, document=DOCUMENT, actor=TYPED)
    await service.get(f"/audit/documents/{DOCUMENT}/readers", tenant, "compliance")
    await service.client.get(f"/{DOCUMENT}?token={TYPED}", headers={"Authorization": f"Bearer {TYPED}.{TYPED}.{TYPED}"})
    await service.client.post(
        "/retrieve", content=f'{{"query": "{QUESTION}"', headers={"Content-Type": "application/json"}
    )
    tokens = [await service.token(tenant, user) for user in ("admin", "analyst", "compliance")]
    return [
        pair["access_token"],
        pair["refresh_token"],
        second["refresh_token"],
        key["key"],
        *tokens,
        tenant.partner_key,
    ]


async def failing(service: Service, tenant: Tenant) -> None:
    """Makes the database refuse, and one request fail for a reason that nobody foresaw."""
    async with service.operator() as acting:
        await acting.connection.execute(
            "update identity.password set hash = 'damaged' where tenant_id = $1 and user_id = $2",
            tenant.id, tenant.users["approver"],
        )  # fmt: skip
    form = {"username": "approver", "password": PASSWORD, "client_id": tenant.slug}
    assert (await service.client.post("/auth/token", data=form)).status_code == 500
    async with service.operator() as acting:
        await acting.connection.execute("revoke insert on audit.payload from affidavit_runtime")
    assert (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).status_code == 503
    assert (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).status_code == 503


@pytest.fixture(scope="module")
async def logged(postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path) -> tuple[str, list[str], Tenant]:
    """Everything that was logged at DEBUG, the secrets that must not be in it, and the tenant."""
    written = io.StringIO()
    async with cloned_database(postgres) as database:
        settings = settings_for(database, run_secrets, model_home).model_copy(update={"log_level": "DEBUG"})
        async with running(settings, database) as service:
            (handler,) = logging.getLogger().handlers
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(written)
            tenant = await service.create_tenant()
            secrets = await busy(service, tenant)
            await failing(service, tenant)
            logging.getLogger("library").error("said %s", "by a library")
            await asyncio.sleep(0)
    secrets += [PASSWORD, run_secrets.context_key, run_secrets.payload_key, run_secrets.jwt_private_key[40:80]]
    return written.getvalue(), secrets, tenant


async def test_no_secret_and_no_text_is_logged(logged: tuple[str, list[str], Tenant]) -> None:
    text, secrets, _ = logged
    assert len(text.splitlines()) > 30
    for forbidden in (*secrets, DOCUMENT, METADATA, QUESTION, TYPED, "Xylophone", "zeppelin", "Abercrombie"):
        assert forbidden not in text
        assert json.dumps(forbidden)[1:-1] not in text


async def test_every_line_is_json_with_its_request_and_tenant(logged: tuple[str, list[str], Tenant]) -> None:
    text, _, tenant = logged
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert len({line["request_id"] for line in requests}) == len(requests)
    assert all({"method", "route", "status", "milliseconds"} <= line.keys() for line in requests)
    assert len({line["code"] for line in requests if "code" in line}) > 1, (
        "why it was refused is on the request's own line"
    )
    answered = [line for line in requests if line["route"] == "/retrieve" and line["status"] == 200]
    assert answered
    assert {line["tenant"] for line in answered} == {tenant.slug}
    assert {"by a library" in line["event"] for line in lines} == {True, False}


async def test_what_nobody_foresaw_is_logged_with_its_place_and_without_its_message(
    logged: tuple[str, list[str], Tenant],
) -> None:
    text, *_ = logged
    (failure,) = [json.loads(line) for line in text.splitlines() if '"request failed"' in line]
    assert failure["level"] == "error"
    assert any("passwords.py" in frame for stack in failure["exception"] for frame in stack["frames"])


async def test_what_follows_a_request_in_the_same_task_is_not_logged_as_its_part(
    service: Service, tenant: Tenant
) -> None:
    assert (await service.get("/auth/me", tenant, "analyst")).status_code == 200
    assert structlog.contextvars.get_contextvars() == {}


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    configure("WARNING")


def written_at(*, terminal: bool, form: LogFormat, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is written of a line, one of uvicorn's, and an exception."""
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", written)
    configure("INFO", form)
    log = structlog.get_logger("backend.test")
    log.info("sealing", epoch=3)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    try:
        int(QUESTION)
    except ValueError:
        log.exception("request failed")
    return written.getvalue()


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("terminal", "form"), [(False, "auto"), (True, "json")])
def test_other_programs_read_json(*, terminal: bool, form: LogFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = [
        json.loads(line) for line in written_at(terminal=terminal, form=form, monkeypatch=monkeypatch).splitlines()
    ]
    assert (first["event"], first["epoch"], first["level"]) == ("sealing", 3, "info")
    assert (second["event"], second["level"]) == ("Invalid HTTP request received.", "warning")
    assert third["exception"][0]["type"] == "ValueError"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("terminal", "form"), [(True, "auto"), (False, "text")])
def test_people_read_text(*, terminal: bool, form: LogFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    written = re.sub(r"\x1b\[[0-9;]*m", "", written_at(terminal=terminal, form=form, monkeypatch=monkeypatch))
    first, second, third, kind, frame, *_ = written.splitlines()
    assert "sealing" in first
    assert "epoch=3" in first
    assert "Invalid HTTP request received." in second
    assert "request failed" in third
    assert kind == "  ValueError"
    assert frame.startswith("    ")
    assert "test_logging.py" in frame
    assert QUESTION not in written
    assert ("\x1b[" in written_at(terminal=terminal, form=form, monkeypatch=monkeypatch)) == terminal

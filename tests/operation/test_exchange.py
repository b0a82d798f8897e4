"""Every key of a deployment takes another's place, in the order of the operator's handbook, while old and new processes answer."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import asyncpg
import pytest

from backend.database import open_pool
from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.ledger.keyring import Keyring
from backend.ledger.process import sinks_from_settings
from backend.ledger.sealer import Sealer
from backend.migration import migrate, store_context_key
from backend.operation.exchange.folder import KeyKind, SecretsFolder
from backend.operation.exchange.passwords import scram_verifier, with_password
from backend.operation.exchange.service import advance, under_way
from backend.operation.init_command import init
from backend.operation.service import OperatorError
from backend.settings import Settings
from backend.tenancy import ContextSigner
from tests.operation.test_processes import Load
from tests.scratch import new_folder
from tests.service import Database, Service, Tenant, running
from tests.serving import ROOT, Started, affidavit, eventually, free_port, started

pytestmark = pytest.mark.anyio

HANDBOOK = (ROOT / "infra" / "README.md").read_text()
QUESTION = "When do zeppelin wires leave?"
REPLACED = (KeyKind.CONTEXT, KeyKind.PAYLOAD, KeyKind.PASSWORDS)


@dataclass
class ExchangedDeployment:
    """What `affidavit init` made, and a migrated database that has its passwords."""

    folder: Path
    database: Database
    home: Path

    def settings(self, process: str) -> Settings:
        """What a process reads that is started now."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(self.folder / process))
            return Settings(
                home=self.home, log_level="WARNING", storage_folder=self.folder.parent / "documents",
                checkpoint_folder=self.folder.parent / "kept",
            )  # fmt: skip

    async def rotate(self, *kinds: KeyKind) -> dict[str, str]:
        folder = SecretsFolder(self.folder)
        return {**await advance(folder, self.settings("serve"), kinds or under_way(folder) or KeyKind)}

    @asynccontextmanager
    async def sealing(self) -> AsyncIterator[None]:
        """A sealer as its settings say now; it leads when the block begins."""
        settings = self.settings("sealer")
        assert settings.sealer_database_url is not None
        pool = await open_pool(
            settings.sealer_database_url.get_secret_value(), size=3, timeout=5, other_passwords=settings.other_passwords
        )
        began = datetime.now(UTC)
        sealer = asyncio.create_task(Sealer(pool, Keyring.from_settings(settings), sinks_from_settings(settings)).run())
        watching = await asyncpg.connect(self.database.superuser_url)
        async with asyncio.timeout(60):
            while (await watching.fetchval("select sealed_at from audit.sealer") or began) <= began:
                await asyncio.sleep(0.05)
        await watching.close()
        yield
        sealer.cancel()
        await asyncio.gather(sealer, return_exceptions=True)
        await pool.close()


@asynccontextmanager
async def deployed(model_home: Path) -> AsyncIterator[ExchangedDeployment]:
    folder, port = new_folder(), free_port()
    init(folder / "secrets", f"127.0.0.1:{port}", name="affidavit.test")
    lines = (folder / "secrets" / "database.env").read_text().split()
    known = {name: value for name, _, value in (line.partition("=") for line in lines)}
    roles = (known[f"AFFIDAVIT_{role}_PASSWORD"] for role in ("OWNER", "RUNTIME", "SEALER", "OPERATOR"))
    server = EmbeddedPostgres(
        folder / "data", Passwords(known["POSTGRES_PASSWORD"], *roles), port=port,
        settings={"fsync": "off", "shared_buffers": "64MB"},
    )  # fmt: skip
    try:
        server.start()
        server.prepare_roles()
        await asyncio.to_thread(migrate, server.urls()["owner_url"])
        key = (folder / "secrets" / "migrate" / "context_key").read_text()
        await store_context_key(server.urls()["owner_url"], ContextSigner(key))
        yield ExchangedDeployment(folder / "secrets", Database(**server.urls()), model_home)
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def deployment(model_home: Path) -> AsyncIterator[ExchangedDeployment]:
    async with deployed(model_home) as made:
        yield made


@pytest.fixture
async def another_deployment(model_home: Path) -> AsyncIterator[ExchangedDeployment]:
    """One whose passwords nobody has exchanged yet."""
    async with deployed(model_home) as made:
        yield made


@dataclass
class ReadsAndWrites:
    """Clients that ask and write without a pause, with one token, of the processes that answer at the moment."""

    headers: dict[str, str]
    answering: Sequence[Service] = ()
    answers: list[int] = field(default_factory=list)
    rounds: list[int] = field(default_factory=lambda: [0, 0])

    async def client(self, number: int) -> None:
        while True:
            service = self.answering[self.rounds[number] % len(self.answering)]
            text = f"Wire {self.rounds[number]} leaves."
            chunk = {"doc_id": f"d{number}", "chunk_text": text, "source_type": "policy"}
            for path, body in (("/retrieve", {"query": text}), ("/ingest", chunk)):
                answer = await service.client.post(path, json=body, headers=self.headers)
                self.answers.append(answer.status_code)
            self.rounds[number] += 1

    async def more(self, rounds: int) -> None:
        """Waits until every client has begun and ended so many rounds from now on."""
        wanted = [done + rounds + 1 for done in self.rounds]
        async with asyncio.timeout(120):
            while any(done < due for done, due in zip(self.rounds, wanted, strict=True)):
                await asyncio.sleep(0.02)


async def written(service: Service, tenant: Tenant) -> str:
    """A chunk and a retrieval of it; returns the event of that."""
    chunk = {"doc_id": "d", "chunk_text": "Zeppelin wires leave before noon.", "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
    found = await service.post("/retrieve", tenant, "editor", {"query": QUESTION})
    event: str = found.json()["audit_event_id"]
    return event


async def found_by_word(service: Service, reviewer: dict[str, str]) -> set[str]:
    answer = await service.client.get("/audit/events?q=zeppelin&reason=a+test&limit=200", headers=reviewer)
    return {event["id"] for event in answer.raise_for_status().json()["events"]}


async def what_the_old_search_key_left_goes(deployment: ExchangedDeployment) -> None:
    by_old = await asyncio.to_thread(told_by, "keys", "rehash", deployment=deployment)
    assert by_old["changed"] > 10
    again = await asyncio.to_thread(told_by, "keys", "rehash", deployment=deployment)
    assert again["changed"] == by_old["unreadable"] == 0


@pytest.mark.servers
async def test_every_kind_of_key_is_exchanged_under_load(deployment: ExchangedDeployment) -> None:
    old_public = (deployment.folder / "checkpoint-key.pub").read_text()
    database = deployment.database
    early = (KeyKind.CONTEXT, KeyKind.PAYLOAD, KeyKind.SEARCH, KeyKind.CHECKPOINTS, KeyKind.PASSWORDS)
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        service = await start(running(deployment.settings("serve"), database))
        tenant = await service.create_tenant()
        before = await written(service, tenant)
        load = ReadsAndWrites(await service.as_user(tenant, "editor"), [service])
        reviewer = await service.as_user(tenant, "compliance")
        clients = [asyncio.create_task(load.client(number)) for number in range(2)]
        for step in ("learn", "write", "forget"):
            async with deployment.sealing():
                await load.more(1)
            kinds = early if step == "forget" else tuple(KeyKind)
            assert await deployment.rotate(*kinds) == dict.fromkeys(kinds, step)
            await service.services.pool.expire_connections()  # processes of before connect anew as well
            await load.more(1)
            after = await start(running(deployment.settings("serve"), database))
            load.answering = [service, after]
            await load.more(2)
            for process in (service, after):  # also by words of texts that the other one has written since
                assert before in await found_by_word(process, reviewer)
                assert await written(process, tenant) in await found_by_word(after, reviewer)
            load.answering, service = [after], after
            await load.more(1)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        assert set(load.answers) == {200, 201}
        told = await service.client.get(
            f"/audit/events/{before}", params={"reveal": True, "reason": "a test"}, headers=reviewer
        )
        assert QUESTION in told.text
        await what_the_old_search_key_left_goes(deployment)
        assert before in await found_by_word(service, reviewer)
    for url in (database.owner_url, database.runtime_url, database.sealer_url, database.operator_url):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url)
    with pytest.raises(OperatorError, match="tokens of the old key"):
        await deployment.rotate()
    SecretsFolder(deployment.folder).note("tokens", stepped=(datetime.now(UTC) - timedelta(minutes=31)).isoformat())
    assert await deployment.rotate() == {"tokens": "forget"}
    async with deployment.sealing():
        status = told_by("keys", "status", str(deployment.folder), deployment=deployment)
    assert {kind["earlier"] + kind["unknown"] for kind in status["wrapped"].values()} == {0}
    assert (status["words"]["found"] > 10, status["words"]["not_found"], status["words"]["by_others"]) == (True, 0, 0)
    assert {kind["next_step"] for kind in status["secrets"].values()} == {"learn"}
    assert len(status["context_keys"]) == 2  # the old one ends in two minutes
    [handed_over] = status["checkpoint_keys"]
    assert handed_over["keys"][0] == old_public.strip()
    assert (deployment.folder / "checkpoint-key.pub").read_text().split() == handed_over["keys"][::-1]
    assert list((deployment.folder / "under-way").iterdir()) == []
    new_password = (deployment.folder / "database.env").read_text().partition("AFFIDAVIT_OWNER_PASSWORD=")[2].split()[0]
    assert new_password in (deployment.folder / "migrate" / "database_url").read_text()


@pytest.mark.servers
async def test_processes_take_exchanged_files_at_sighup_and_no_request_fails(
    another_deployment: ExchangedDeployment,
) -> None:
    deployment = another_deployment
    async with running(deployment.settings("serve"), deployment.database) as service:
        tenant = await service.create_tenant()
        token = await service.token(tenant, "analyst")
    settings = {"AFFIDAVIT_SECRETS_DIRECTORY": str(deployment.folder / "serve"), "AFFIDAVIT_HOME": str(deployment.home)}
    with started("serve", "--workers", "2", settings=settings) as serving, Load(serving.url, token, clients=1) as load:
        for number, step in enumerate(("learn", "write", "forget"), start=1):
            assert await deployment.rotate(*REPLACED) == dict.fromkeys(REPLACED, step)
            serving.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(eventually, partial(has_replaced, serving, number), 300, serving.written)
            answered = len(load.answers)
            await asyncio.to_thread(eventually, partial(has_answered, load, answered + 5), 120, serving.written)
    assert set(load.answers) == {200}
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(deployment.database.runtime_url)


def has_replaced(serving: Started, times: int) -> bool:
    return serving.written().count("all workers replaced") == times


def has_answered(load: Load, requests: int) -> bool:
    return len(load.answers) >= requests


def told_by(*arguments: str, deployment: ExchangedDeployment) -> Any:
    """What a command of the operator prints as JSON; it has the owner's address and the payload keys."""
    settings = {
        "AFFIDAVIT_SECRETS_DIRECTORY": str(deployment.folder / "serve"),
        "AFFIDAVIT_DATABASE_URL": (deployment.folder / "migrate" / "database_url").read_text(),
    }
    done = affidavit(*arguments, "--json", settings=settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# What an operator types on the first days, in the container that compose has for it.
OPERATORS = """
doctor
tenant create first-days
tenant list
user create first-days jane --role admin
key create first-days portal --permission retrieval:query
operator-key create provisioning
keys status
keys rehash
audit check
tenant suspend first-days
tenant delete first-days
"""


async def test_the_operator_needs_no_more_than_the_folder_that_init_makes_for_it(
    deployment: ExchangedDeployment, tmp_path: Path
) -> None:
    with_folder = {"AFFIDAVIT_HOME": str(tmp_path), "AFFIDAVIT_SECRETS_DIRECTORY": str(deployment.folder / "operator")}
    async with deployment.sealing():
        for line in OPERATORS.strip().splitlines():
            done = await asyncio.to_thread(
                affidavit, *line.split(), settings=with_folder, text="a long enough password\n"
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)


async def test_the_operators_container_takes_every_kind_of_key_a_step_further(
    another_deployment: ExchangedDeployment, tmp_path: Path
) -> None:
    """As `docker compose run … operator keys rotate /all` has it: the settings of its own folder, and the whole one."""
    assert 'infra/secrets:/all" operator keys rotate /all' in HANDBOOK
    folder = another_deployment.folder
    settings = {"AFFIDAVIT_HOME": str(tmp_path), "AFFIDAVIT_SECRETS_DIRECTORY": str(folder / "operator")}

    async def rotated() -> CompletedProcess[str]:
        return await asyncio.to_thread(affidavit, "keys", "rotate", str(folder), settings=settings)

    for step in ("learn", "write"):
        done = await rotated()
        assert done.returncode == 0, done.stderr
        assert [line for line in done.stdout.splitlines() if line.endswith(f": {step}")] == [
            f"{kind}: {step}" for kind in KeyKind
        ]
        assert "Now replace serve, worker and sealer" in done.stdout
    done = await rotated()
    assert (done.returncode, "access tokens of the old key hold until" in done.stderr) == (1, True), done.stderr


async def test_a_lost_end_of_the_log_is_declared_where_the_sealer_runs_with_the_owners_address_as_a_file(
    deployment: ExchangedDeployment, tmp_path: Path
) -> None:
    with_folder = {
        "AFFIDAVIT_HOME": str(tmp_path), "AFFIDAVIT_SECRETS_DIRECTORY": str(deployment.folder / "sealer"),
        "AFFIDAVIT_DATABASE_URL_FILE": str(deployment.folder / "migrate" / "database_url"),
        "AFFIDAVIT_OPERATOR_KEY": "op_of_nobody", "AFFIDAVIT_CHECKPOINT_FOLDER": str(deployment.folder.parent / "kept"),
    }  # fmt: skip
    done = await asyncio.to_thread(
        affidavit, "audit", "restore", "--reason", "Restored to Monday.", settings=with_folder
    )
    assert (done.returncode, "nothing is lost" in done.stderr) == (1, True), done.stderr


async def test_a_step_that_was_interrupted_can_be_taken_again(deployment: ExchangedDeployment) -> None:
    folder = SecretsFolder(deployment.folder)
    kinds = (KeyKind.CONTEXT, KeyKind.CHECKPOINTS, KeyKind.PASSWORDS)
    given = {}
    for _ in range(2):
        assert await deployment.rotate(*kinds) == dict.fromkeys(kinds, "learn")
        given["learn"] = _secrets_of(deployment.folder)
        for kind in kinds:
            folder.note(kind, step=None)  # as if it had died before it noted the step
    for _ in range(2):
        for kind in kinds:
            folder.note(kind, step="learn")
        assert await deployment.rotate(*kinds) == dict.fromkeys(kinds, "write")
        assert given.setdefault("write", _secrets_of(deployment.folder)) == _secrets_of(deployment.folder)
    connection = await asyncpg.connect((deployment.folder / "migrate" / "database_url").read_text())
    await connection.close()


def _secrets_of(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(folder.rglob("*/*")) if path.is_file()}


async def test_the_checkpoint_key_is_not_forgotten_before_a_sealer_signed_the_handover(
    deployment: ExchangedDeployment,
) -> None:
    with pytest.raises(OperatorError, match="no sealer has signed the handover"):
        await deployment.rotate(KeyKind.CHECKPOINTS)


def test_a_folder_that_init_did_not_make_is_refused(tmp_path: Path) -> None:
    done = affidavit("keys", "rotate", str(tmp_path), settings={})
    assert done.returncode == 1
    assert "affidavit init" in done.stderr


@pytest.mark.parametrize("password", ["x", "pa'ss\\w%rd", "correct-horse-4cc6"])
async def test_the_server_takes_a_password_that_it_was_only_given_the_verifier_of(
    deployment: ExchangedDeployment, password: str
) -> None:
    admin = await asyncpg.connect(deployment.database.superuser_url)
    await admin.execute("drop role if exists somebody")
    await admin.execute(f"create role somebody login password '{scram_verifier(password)}'")
    url = deployment.database.superuser_url.replace("postgres:", "somebody:")
    somebody = await asyncpg.connect(with_password(url, password), database="postgres")
    await somebody.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(with_password(url, "another"), database="postgres")
    await admin.close()

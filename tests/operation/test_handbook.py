"""The operator's handbook is run as it is written: the commands for tenants and for sign-in, one after the other."""

import asyncio
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.ledger.checkpoints import SigningKey
from backend.ledger.verifier.single_file import single_file
from tests.ledger.sealed_log import KEY
from tests.service import Database, Secrets, sealing

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK, README = (ROOT / "infra" / "README.md").read_text(), (ROOT / "README.md").read_text()


def commands(section: str) -> Iterator[list[str]]:
    """The words behind `affidavit` of every command in the first block of a section."""
    after = HANDBOOK.split(f"\n## {section}\n", 1)[1]
    (block,) = re.findall(r"```sh\n(.*?)```", after.split("\n## ", 1)[0], re.DOTALL)
    for line in block.splitlines():
        for command in line.split("&&"):
            name, *words = shlex.split(command, comments=True)
            assert name == "affidavit"
            yield words


async def says_that_nothing_was_lost(database: Database, environment: dict[str, str], operator_key: str) -> None:
    """`affidavit audit restore` of the handbook, by an operator with a key, where the log lost nothing."""
    (reason,) = set(re.findall(r'affidavit audit restore --reason "(.*?)"', HANDBOOK))
    sealer = {
        "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url, "AFFIDAVIT_OPERATOR_KEY": operator_key,
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("a-test").pem().decode(),
    }  # fmt: skip
    words = ["audit", "restore", "--reason", reason]
    done = await asyncio.to_thread(CliRunner().invoke, app, words, env=environment | sealer)
    assert (done.exit_code, "nothing is lost" in done.output) == (1, True), (done.output, done.exception)


async def handles_incidents(database: Database, environment: dict[str, str]) -> None:
    """Runs the commands for incidents, of a tenant that has a key and whose log is sealed."""
    owner = await asyncpg.connect(database.superuser_url)
    made = ["key", "create", "acme", "portal", "--permission", "retrieval:query"]
    try:
        async with sealing(database, KEY), asyncio.timeout(120):
            for words in [made, *commands("Incidents")]:
                while await owner.fetchval("select count(*) from audit.unsealed"):
                    await asyncio.sleep(0.05)
                done = await asyncio.to_thread(
                    CliRunner().invoke, app, words, env=environment | {"AFFIDAVIT_CHECKPOINT_PUBLIC_KEY": str(KEY.verifier_key)}
                )  # fmt: skip
                assert done.exit_code == 0, (words, done.output, done.exception)
        assert await owner.fetchval("select count(*) from identity.api_key where revoked_at is null") == 0
        assert await owner.fetchval("select count(*) from identity.operator_key where revoked_at is null") == 0
    finally:
        await owner.close()


async def test_every_command_for_tenants_and_sign_in_works_as_the_handbook_writes_it(
    database: Database, run_secrets: Secrets, model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_DATABASE_URL": database.owner_url,
        "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url, "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
        "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
    }  # fmt: skip
    *before, deletion, purge, operator_key = commands("Tenants")
    named = [["reembed", "acme"], ["issuer", "distrust", "acme"], ["audit", "verifier", "verifier.py"]]
    assert [
        words for words in named if f"`affidavit {' '.join(words).removesuffix(' acme')}`" not in HANDBOOK + README
    ] == []
    said = {}

    async def run(*all_words: list[str]) -> None:
        for words in all_words:
            typed = "a long enough password\n" if words[0] == "user" else None
            done = await asyncio.to_thread(CliRunner().invoke, app, words, input=typed, env=environment)
            assert done.exit_code == 0, (words, done.output, done.exception)
            said[tuple(words)] = done.output

    await run(*before, *commands("Sign-in"), *named, operator_key)
    await says_that_nothing_was_lost(database, environment, re.findall(r"afo_\S+", said[tuple(operator_key)])[0])
    await handles_incidents(database, environment)
    await run(deletion, purge)
    assert "acme" in said["tenant", "list"]
    assert (tmp_path / "verifier.py").read_text() == single_file()
    assert "audit.event.jsonl" in zipfile.ZipFile("acme.zip").namelist()
    owner = await asyncpg.connect(database.owner_url)
    try:
        tenant = await owner.fetchrow(
            "select status, requests_per_minute, delete_after > now() + interval '29 days' as later"
            " from tenancy.tenant where slug = 'acme'"
        )
        roles = await owner.fetch("select role from identity.user_role")
        keys = await owner.fetch("select name from identity.operator_key")
    finally:
        await owner.close()
    assert tuple(tenant) == ("deleting", 6000, True)
    assert ([row["role"] for row in roles], [row["name"] for row in keys]) == (["editor"], ["provisioning"])

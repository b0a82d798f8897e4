"""`affidavit ingest` against a running service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import to_thread
from click.testing import Result
from typer.testing import CliRunner

from backend.cli import app as cli
from backend.documents.files.folder_upload import AmbiguousName, files_below
from backend.identity.callers.permissions import Permission
from tests.factories import worker
from tests.listening import listening
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def url(service: Service) -> AsyncIterator[str]:
    """The service on a socket, with a worker."""
    working = asyncio.create_task(worker(service).run())
    async with listening(service) as address:
        yield address
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    below = tmp_path / "policies" / "cards"
    below.mkdir(parents=True)
    (below / "disputes.md").write_text("# Disputes\n\nFile within 60 days.")
    (tmp_path / "policies" / "fees.csv").write_text("fee,amount\nwire,25\n")
    (tmp_path / "policies" / "notes.docm").write_bytes(b"macros")
    (tmp_path / "policies" / ".hidden.txt").write_text("Not for the service.")
    return tmp_path / "policies"


async def ingest(*arguments: str, **environment: str) -> Result:
    runner = CliRunner()
    return await to_thread.run_sync(lambda: runner.invoke(cli, ["ingest", *arguments], env=environment))


async def test_a_folder_is_ingested_once_and_only_what_changed_again(
    service: Service, tenant: Tenant, url: str, folder: Path
) -> None:
    arguments = (str(folder), "--tenant", tenant.slug, "--username", "editor", "--url", url)
    first = await ingest(*arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert first.exit_code == 0, first.output
    assert "2 ingested, 0 unchanged, 0 failed" in first.output
    assert "notes.docm" in first.output
    documents = (await service.get("/documents", tenant, "editor")).json()["documents"]
    assert [document["doc_id"] for document in documents] == ["policies/cards/disputes.md", "policies/fees.csv"]
    again = await ingest(*arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert "0 ingested, 2 unchanged, 0 failed" in again.output
    (folder / "fees.csv").write_text("fee,amount\nwire,30\n")
    third = await ingest(*arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert "1 ingested, 1 unchanged, 0 failed" in third.output


async def test_a_key_ingests_where_it_may_write_and_a_failure_is_told(
    service: Service, tenant: Tenant, url: str, tmp_path: Path
) -> None:
    async with service.operator() as acting:
        rights = [Permission.DOCUMENTS_READ, Permission.DOCUMENTS_WRITE]
        key = await acting.create_key(tenant.id, "ingester", rights, ["default"], writable=["default"])
    (tmp_path / "good.txt").write_text("Readable.")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    ended = await ingest(str(tmp_path), "--tenant", tenant.slug, "--url", url, AFFIDAVIT_API_KEY=key)
    assert ended.exit_code == 1
    assert "1 ingested, 0 unchanged, 1 failed" in ended.output
    assert f"failed: {tmp_path.name}/bad.pdf: " in ended.output
    elsewhere = await ingest(
        str(tmp_path), "--tenant", tenant.slug, "--collection", "restricted", "--url", url, AFFIDAVIT_API_KEY=key
    )
    assert "0 ingested, 0 unchanged, 2 failed" in elsewhere.output


async def test_credentials_of_another_tenant_upload_nothing(
    service: Service, tenant: Tenant, other_tenant: Tenant, url: str, folder: Path
) -> None:
    arguments = (str(folder), "--tenant", other_tenant.slug, "--url", url)
    foreign = await ingest(*arguments, AFFIDAVIT_API_KEY=tenant.partner_key)
    assert foreign.exit_code == 1
    assert "not of" in foreign.output
    wrong = await ingest(*arguments, "--username", "editor", AFFIDAVIT_PASSWORD="wrong")
    assert wrong.exit_code == 1
    assert (await service.get("/documents", other_tenant, "editor")).json()["documents"] == []


async def test_files_of_one_name_in_two_folders_are_two_documents(
    service: Service, tenant: Tenant, url: str, tmp_path: Path
) -> None:
    for name in ("cards", "wires"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "limits.txt").write_text(f"The limit of {name} is 500 dollars.")
    arguments = ("--tenant", tenant.slug, "--username", "editor", "--url", url)
    for name in ("cards", "wires"):  # one after the other, as two people do it
        done = await ingest(str(tmp_path / name), *arguments, AFFIDAVIT_PASSWORD=PASSWORD)
        assert "1 ingested" in done.output
    again = await ingest(str(tmp_path / "cards" / "limits.txt"), *arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert "1 unchanged" in again.output  # a file is called the same as in its folder
    documents = (await service.get("/documents", tenant, "editor", limit=100)).json()["documents"]
    assert {"cards/limits.txt", "wires/limits.txt"} <= {document["doc_id"] for document in documents}


def test_documents_are_called_by_their_path_below_a_root_or_not_at_all(tmp_path: Path) -> None:
    for name in ("a/cards", "b/cards"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "limits.txt").write_text("limits")
    both = [tmp_path / "a" / "cards", tmp_path / "b" / "cards"]
    assert [file.doc_id for file in files_below(both, tmp_path)[0]] == ["a/cards/limits.txt", "b/cards/limits.txt"]
    with pytest.raises(AmbiguousName, match="--root"):
        files_below(both)
    with pytest.raises(AmbiguousName, match="is not below"):
        files_below(both, tmp_path / "a")


async def test_a_service_that_is_away_and_a_wrong_password_are_one_sentence(
    url: str, tenant: Tenant, folder: Path
) -> None:
    away = await ingest(
        str(folder), "--tenant", "t", "--username", "u", "--url", "http://127.0.0.1:9", AFFIDAVIT_PASSWORD="p"
    )
    wrong = await ingest(
        str(folder), "--tenant", tenant.slug, "--username", "editor", "--url", url, AFFIDAVIT_PASSWORD="p"
    )
    assert (away.exit_code, wrong.exit_code) == (1, 1)
    assert "cannot be reached" in away.output
    assert "does not know this user" in wrong.output


async def test_where_nobody_can_type_a_password_the_setting_for_it_is_named(folder: Path) -> None:
    unanswered = await ingest(str(folder), "--tenant", "t", "--username", "u", "--url", "http://127.0.0.1:9")
    assert unanswered.exit_code == 1
    assert "set AFFIDAVIT_PASSWORD" in unanswered.output

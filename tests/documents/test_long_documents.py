"""Documents whose storing takes longer than one signature of a context holds, and is larger than what fits in memory."""

import tracemalloc
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from pgvector import HalfVector

from backend.database import Connection, Queries
from backend.documents.chunks import vectors as chunks
from backend.documents.chunks.vectors import ChunkVectors
from backend.documents.files.passage_file import PassageSpool
from backend.documents.tables import ChunkSpan
from backend.documents.versions.submission import SubmittedPassage
from backend.tenancy import Claims, Tenancy
from tests.factories import create_collection, decide, ingested, retrieved
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@dataclass
class Noted:
    """The statements on chunks, noted as they are used."""

    queries: Queries
    notes: list[str]

    def __getattr__(self, name: str) -> str:
        self.notes.append(name)
        statement: str = getattr(self.queries, name)
        return statement


def passage(number: int) -> SubmittedPassage:
    vectors = ChunkVectors(HalfVector([number / 7, -1.0, 0.25]), {3: 0.1 + number, 999_999_999: 2.5})
    headings = (None, (), ("Fees", "Überweisungen"))[number % 3]
    sheet = "Blatt" if number % 2 else None
    span = ChunkSpan(page_start=1, page_end=2, sheet=sheet, char_start=0, char_end=9, heading_path=headings)
    return SubmittedPassage(f"Satz {number}: “ein Wort”.", vectors, span)


def test_passages_come_back_from_disk_as_they_were_and_again(tmp_path: Path) -> None:
    spool = PassageSpool(tmp_path / "passages")
    passages = [passage(number) for number in range(7)]
    spool.add(passages[:3])
    spool.add(passages[3:])
    assert (len(spool), list(spool), list(spool)) == (7, passages, passages)


def test_passages_on_disk_take_no_memory(tmp_path: Path) -> None:
    spool = PassageSpool(tmp_path / "passages")
    tracemalloc.start()
    for number in range(2_000):
        spool.add([passage(number)])
    assert sum(1 for _ in spool) == 2_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000, "a hundred bytes for each of them would be more"


async def test_a_context_is_signed_anew_between_the_statements_that_write_a_long_document(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_collection(service, tenant)
    monkeypatch.setattr(chunks, "_STORED_AT_ONCE", 1)
    notes: list[str] = []
    bind = Tenancy.bind

    async def noted_bind(self: Tenancy, connection: Connection, claims: Claims, *statement: str) -> None:
        notes.append("bind")
        await bind(self, connection, claims, *statement)

    monkeypatch.setattr(Tenancy, "bind", noted_bind)
    monkeypatch.setattr(chunks, "queries", Noted(chunks.queries, notes))
    text = "\n\n".join(f"Rule {number}: the limit of account {number} is {number} euros." for number in range(60))
    job = await ingested(service, tenant, "long.txt", text.encode(), collection="guidance")
    assert (job["status"], job["attempts"]) == ("succeeded", 1), job
    assert (await decide(service, tenant, job["result"])).status_code == 200
    for statement in ("add_chunks", "sparse_vectors", "set_chunk_validity"):
        uses = [index for index, note in enumerate(notes) if note == statement]
        assert len(uses) == job["result"]["chunks"] > 2
        assert all("bind" in notes[first:second] for first, second in pairwise(uses)), statement
    question = "What is the limit of account 57?"
    assert ("long.txt", 1) in await retrieved(service, tenant, question, collection="guidance")

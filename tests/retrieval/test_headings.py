"""What a chunk is under is searched with it: the rows of a long statement do not say what they are rows of."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from backend.documents.chunks.vectors import headed
from backend.documents.inspection import titles
from backend.documents.tables import ChunkSpan
from backend.operation.reembedding import reembed
from backend.personal_data.policy import Policy
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval.embedding.embedder import LocalEmbedder, Vectors
from backend.retrieval.embedding.minilm import MINILM
from tests.service import Service, Tenant

KEYS = PseudonymKeys("a secret of these tests")
ROWS = "Goodwill | 1,204 | 1,190"
STATEMENTS = {"Balance sheets": ROWS, "Segments": f"{ROWS}.", "Consolidated statements of cash flows": f"{ROWS} ."}

pytestmark = pytest.mark.anyio


async def submit(service: Service, tenant: Tenant) -> None:
    chunks = [{"text": rows, "heading_path": ["Part II", name]} for name, rows in STATEMENTS.items()]
    body = {"doc_id": "report.pdf", "title": "Report", "source_type": "report", "chunks": chunks}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code in {200, 201}


async def found(service: Service, tenant: Tenant, **asked: Any) -> list[str]:
    answer = await service.post("/retrieve", tenant, "approver", {"k": 3, **asked})
    return [context["heading_path"][-1] for context in answer.json()["contexts"]]


@pytest.mark.parametrize("mode", ["lexical", "semantic", "hybrid"])
async def test_rows_are_found_by_what_their_statement_is_called(service: Service, tenant: Tenant, mode: str) -> None:
    await submit(service, tenant)
    for name in STATEMENTS:
        assert (await found(service, tenant, query=f"What do the {name.lower()} show?", mode=mode))[0] == name


class Untitled(LocalEmbedder):
    """The built-in model as it was: nothing of what a text is under is embedded."""

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:  # noqa: ARG002 - as called
        return await super().embed_passages(texts)


async def test_what_was_embedded_without_its_heading_is_embedded_again_with_it(
    service: Service, tenant: Tenant
) -> None:
    await submit(service, tenant)
    model = service.services.retrieval.embedder
    assert isinstance(model, LocalEmbedder)
    before = Untitled(model._session, model._native, MINILM, threads=1)

    async def done_again(embedder: LocalEmbedder, *, again: bool) -> tuple[int, list[str]]:
        steps: list[int] = []
        await reembed(
            service.database.owner_url, tenant.id, embedder, KEYS, lambda _, done, __: steps.append(done), again=again
        )
        return sum(steps[-1:]), await found(service, tenant, query="statements of cash flows", mode="semantic")

    count, order = await done_again(before, again=True)
    assert count >= len(STATEMENTS)
    assert order[0] != "Consolidated statements of cash flows", "three texts that differ in a stop"
    assert await done_again(model, again=False) == (0, order)
    _, order = await done_again(model, again=True)
    assert order[0] == "Consolidated statements of cash flows"


async def test_a_heading_is_embedded_with_pseudonyms_where_its_collection_wants_them() -> None:
    pseudonyms = KEYS.of_tenant(UUID(int=7))
    spans = [ChunkSpan(heading_path=("Letters", "To ada@bank.example")), ChunkSpan()]
    for policy in (Policy.MASK, Policy.TELL):
        masked, plain = await titles(pseudonyms, ["File", None], spans, [policy] * 2)
        assert ("ada@bank.example" in masked) is (policy is Policy.TELL)
        assert (masked.split("\n")[0], plain) == ("File", "")


def test_a_title_and_a_heading_have_a_line_each() -> None:
    assert headed("Fees", ["Cards", "Debit\ncards"]) == "Fees\nDebit cards"
    assert [headed(None, None), headed("Fees", ()), headed(None, ["Cards"])] == ["", "Fees", "Cards"]

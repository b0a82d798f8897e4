"""Brings the words by which texts of the log are found to the search keys that are configured.

A new key gets its hashes beside those of the old one while texts are still found by these, so that nothing is missed meanwhile;
what a key that is configured no more left is taken away. Nothing that was done is done again.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.indexer import index_own_events
from backend.audit.key_encryption import WrappedKeyInvalid
from backend.audit.payloads import PayloadInvalid, PayloadReader
from backend.audit.recorder import SEARCHED_PAYLOADS
from backend.audit.search_words import SearchWords
from backend.database import Connection, Queries, fetch_rows
from backend.identity.callers.permissions import Permission
from backend.operation.checking import LogReader, open_reader
from backend.settings import Settings
from backend.tenancy import Claims

queries = Queries(Path(__file__).with_name("rehashing.sql"))


@dataclass(slots=True)
class Rehashed:
    """How many texts were as the keys want them, how many were changed, and how many cannot be opened."""

    current: int = 0
    changed: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class SearchedText:
    """An encrypted text that is found by its words, with its key, the hashes that it has, and what its event is filtered by."""

    event_id: UUID
    name: str
    ciphertext: bytes
    key_id: UUID
    terms: list[int] | None
    wrapped: bytes
    action: str
    outcome: str
    principal_id: UUID | None


@dataclass(frozen=True, slots=True)
class Rehashing:
    """Reads texts as the service does, under contexts of the operator, and writes their words as the owner."""

    owner: Connection
    reader: LogReader
    words: SearchWords

    async def run(self, progress: Callable[[int], None]) -> Rehashed:
        """Goes through the texts of all tenants, 200 in a transaction; can be interrupted at any time and run again."""
        found = Rehashed()
        for row in await self.owner.fetch(queries.tenants_at_home):
            after = (UUID(int=0), "")
            while page := await self._page(row["id"], *after):
                async with self.owner.transaction():
                    for text, wanted in page:
                        await self._replace(row["id"], text, wanted, found)
                after = (page[-1][0].event_id, page[-1][0].name)
                progress(found.current + found.changed + found.unreadable)
        return found

    async def _page(self, tenant_id: UUID, after: UUID, name: str) -> list[tuple[SearchedText, list[int] | None]]:
        """Returns the next texts, each with the hashes that it is to have; None where it cannot be opened."""
        permissions = [Permission.AUDIT_READ, Permission.AUDIT_REVEAL]
        claims = Claims(str(uuid7()), tenant_id, kind="operator", permissions=permissions)
        assert self.reader.vault is not None
        opening = self.reader.vault.reader(tenant_id)
        async with self.reader.tenancy.transaction(claims) as connection:
            await index_own_events(connection)
            searched = (queries.searched_texts, tenant_id, after, name, list(SEARCHED_PAYLOADS))
            texts = await fetch_rows(connection, SearchedText, *searched)
        return [(text, await self._wanted(opening, tenant_id, text)) for text in texts]

    async def _wanted(self, opening: PayloadReader, tenant_id: UUID, text: SearchedText) -> list[int] | None:
        try:
            _, opened = await opening.decrypt(text.key_id, text.wrapped, text.event_id, text.name, text.ciphertext)
        except (PayloadInvalid, WrappedKeyInvalid):
            return None
        return self.words.stored(tenant_id, opened)

    async def _replace(self, tenant_id: UUID, text: SearchedText, wanted: list[int] | None, found: Rehashed) -> None:
        if wanted is None:
            found.unreadable += 1
        elif set(wanted) == set(text.terms or ()):
            found.current += 1
        else:
            found.changed += 1
            of_event = (text.action, text.outcome, text.principal_id)
            await self.owner.execute(queries.replace_words, tenant_id, text.event_id, text.name, wanted, *of_event)


@asynccontextmanager
async def opened(
    settings: Settings, owner_url: str, runtime_url: str, context_key: str, payload_key: str, search_keys: Sequence[str]
) -> AsyncIterator[Rehashing]:
    """Opens what is needed; other payload keys, AWS KMS and Vault are those of the settings."""
    owner = await asyncpg.connect(owner_url)
    try:
        async with open_reader(settings, runtime_url, context_key, payload_key) as reader:
            yield Rehashing(owner, reader, SearchWords(*search_keys))
    finally:
        await owner.close()


async def counted(owner: Connection, words: SearchWords) -> dict[str, int]:
    """Returns how many texts are found by the search key, how many are not yet, and how many others hash as well."""
    found = {"found": 0, "not_found": 0, "by_others": 0}
    for row in await owner.fetch(queries.tenants_at_home):
        current, *others = words.marks(row["id"])
        told = await owner.fetchrow(queries.count_texts, row["id"], list(SEARCHED_PAYLOADS), current, others)
        assert told is not None
        found = {name: number + told[name] for name, number in found.items()}
    return found

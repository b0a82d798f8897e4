"""Writes audit events into the transaction that does what they record: no record, no answer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import orjson
from uuid_utils.compat import uuid7

from backend.audit.canonical import CanonicalJSONError, canonical_json
from backend.audit.events import LISTED_COLLECTIONS, Actor, Event, envelope
from backend.audit.key_encryption import WrappedKeyInvalid
from backend.audit.payloads import PayloadVault, SealedPayload, queries
from backend.audit.search_words import SearchWords
from backend.database import Connection
from backend.errors import AuditUnavailable

# Texts whose words reviewers search: what was asked and what was answered.
SEARCHED_PAYLOADS = ("query", "question", "answer")


@dataclass(frozen=True, slots=True)
class Draft:
    """Texts of a coming event, by name and text, sealed under its id while something else had to be waited for."""

    event_id: UUID = field(default_factory=uuid7)
    sealed: Mapping[tuple[str, str], SealedPayload] = field(default_factory=dict)
    words: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Recorder:
    """Records events; shared by all requests."""

    def __init__(self, vault: PayloadVault, words: SearchWords, service: Mapping[str, str]) -> None:
        """`service` says in every envelope by which code and configuration it was written."""
        self._vault = vault
        self._words = words
        self._service = service

    async def draft(self, connection: Connection, actor: Actor, texts: Mapping[str, str]) -> Draft:
        """Seals texts that an event of this transaction will have; raises AuditUnavailable."""
        draft = Draft()
        with _unavailable():
            sealed = await self._seal(connection, actor, texts, draft)
        words = {texts[name]: self._words.stored(actor.tenant_id, texts[name]) for name in _searched(texts)}
        return replace(draft, sealed=dict(zip(texts.items(), sealed, strict=True)), words=words)

    async def record(self, connection: Connection, actor: Actor, event: Event, draft: Draft | None = None) -> UUID:
        """Inserts one event and returns its id; raises AuditUnavailable, and the transaction must then not commit.

        It gets the id of its draft, and those texts as they were sealed there that it still has.
        """
        draft = draft or Draft()
        texts = dict(event.payloads)
        if len(actor.readable) > LISTED_COLLECTIONS:
            texts["collections"] = orjson.dumps(sorted(map(str, actor.readable))).decode()
        try:
            with _unavailable():
                await self._insert(connection, actor, event, texts, draft)
        except asyncpg.ForeignKeyViolationError as error:
            # The data key was destroyed by an erasure in another process; the next request makes a new one.
            self._vault.forget(actor.tenant_id, actor.subject_id)
            raise AuditUnavailable(reason="audit:erased_key") from error
        return draft.event_id

    async def _insert(
        self, connection: Connection, actor: Actor, event: Event, texts: Mapping[str, str], draft: Draft
    ) -> None:
        sealed = await self._seal(connection, actor, texts, draft)
        commitments = {p.name: {"commitment": p.commitment, "bytes": p.size} for p in sealed}
        told = envelope(draft.event_id, datetime.now(UTC), actor, event, commitments, self._service)
        words = [(name, word) for name in _searched(texts) for word in self._hashes(actor, texts[name], draft)]
        await connection.execute(
            queries.add_event, draft.event_id, canonical_json(told), actor.tenant_id, list(dict.fromkeys(event.doc_ids)),
            [p.key_id for p in sealed], [p.name for p in sealed], [p.ciphertext for p in sealed],
            [name for name, _ in words], [word for _, word in words],
            event.action, event.outcome, actor.principal_id,
        )  # fmt: skip

    async def _seal(
        self, connection: Connection, actor: Actor, texts: Mapping[str, str], draft: Draft
    ) -> list[SealedPayload]:
        if not texts:
            return []
        month = datetime.now(UTC).date().replace(day=1)
        key = await self._vault.data_key(connection, actor.tenant_id, actor.subject_id, month)
        return [
            draft.sealed.get((name, text)) or self._vault.encrypt(key, draft.event_id, name, text)
            for name, text in texts.items()
        ]

    def _hashes(self, actor: Actor, text: str, draft: Draft) -> Sequence[int]:
        drafted = draft.words.get(text)
        return self._words.stored(actor.tenant_id, text) if drafted is None else drafted


def _searched(texts: Mapping[str, str]) -> list[str]:
    return [name for name in SEARCHED_PAYLOADS if name in texts]


@contextmanager
def _unavailable() -> Iterator[None]:
    """Turns whatever keeps a record from being made into AuditUnavailable, but for a missing key."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError:
        raise
    except (asyncpg.PostgresError, CanonicalJSONError, WrappedKeyInvalid) as error:
        raise AuditUnavailable(reason=f"audit:{type(error).__name__}") from error

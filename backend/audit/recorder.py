"""Writes audit events into the transaction that does what they record: no record, no answer."""

from collections.abc import Mapping
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


class Recorder:
    """Records events; shared by all requests."""

    def __init__(self, vault: PayloadVault, words: SearchWords, service: Mapping[str, str]) -> None:
        """`service` says in every envelope by which code and configuration it was written."""
        self._vault = vault
        self._words = words
        self._service = service

    async def record(self, connection: Connection, actor: Actor, event: Event, *, event_id: UUID | None = None) -> UUID:
        """Inserts one event and returns its id; raises AuditUnavailable, and the transaction must then not commit."""
        event_id = event_id or uuid7()
        moment = datetime.now(UTC)
        try:
            sealed = await self._seal(connection, actor, event, event_id, moment)
            commitments = {p.name: {"commitment": p.commitment, "bytes": p.size} for p in sealed}
            text = canonical_json(envelope(event_id, moment, actor, event, commitments, self._service))
            words = [
                (name, term)
                for name in SEARCHED_PAYLOADS
                for term in self._words.hashes(actor.tenant_id, event.payloads.get(name, ""))
            ]
            await connection.execute(
                queries.add_event, event_id, text, actor.tenant_id, list(dict.fromkeys(event.doc_ids)),
                sealed[0].key_id if sealed else None, [p.name for p in sealed], [p.ciphertext for p in sealed],
                [name for name, _ in words], [term for _, term in words],
                event.action, event.outcome, actor.principal_id,
            )  # fmt: skip
        except asyncpg.ForeignKeyViolationError as error:
            # The data key was destroyed by an erasure in another process; the next request makes a new one.
            self._vault.forget(actor.tenant_id, actor.subject_id)
            raise AuditUnavailable(reason="audit:erased_key") from error
        except (asyncpg.PostgresError, CanonicalJSONError, WrappedKeyInvalid) as error:
            raise AuditUnavailable(reason=f"audit:{type(error).__name__}") from error
        return event_id

    async def _seal(
        self, connection: Connection, actor: Actor, event: Event, event_id: UUID, moment: datetime
    ) -> list[SealedPayload]:
        texts = dict(event.payloads)
        if len(actor.readable) > LISTED_COLLECTIONS:
            texts["collections"] = orjson.dumps(sorted(map(str, actor.readable))).decode()
        if not texts:
            return []
        subject = actor.subject_id
        month = moment.date().replace(day=1)
        key = await self._vault.data_key(connection, actor.tenant_id, subject, month)
        return [self._vault.encrypt(key, event_id, name, text) for name, text in texts.items()]

"""Conversations: a caller's own turns, loaded from the record of their answers, whatever a client claims was said."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import TypeAdapter
from uuid_utils.compat import uuid7

from backend.answers.followup import PastTurn
from backend.answers.models import (
    AnswerRequest,
    Citation,
    ConversationList,
    ConversationSummary,
    ConversationView,
    Feedback,
    OwnTurn,
    RecordedFeedback,
)
from backend.answers.said import MOST_CHARACTERS, MOST_TURNS
from backend.audit.actions.answers import AnswerRated, ConversationRead, ConversationsRead
from backend.audit.events import Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

_ALL_TURNS = 200
_LAST = UUID(int=2**128 - 1)
_CITATIONS = TypeAdapter(list[Citation])


@dataclass(frozen=True, slots=True)
class PastConversation:
    """The conversation of a question, and what was said in it before, oldest first."""

    conversation: UUID
    history: tuple[PastTurn, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversations:
    """Reads and continues the conversations of callers."""

    tenancy: Tenancy
    recorder: Recorder
    vault: PayloadVault

    async def thread(self, caller: Caller, request: AnswerRequest) -> PastConversation:
        """Returns what a question continues, or a new conversation; raises NotFound for a turn or conversation of another."""
        if request.previous_turn is None and request.conversation is None:
            return PastConversation(uuid7())
        async with self.tenancy.transaction(caller.claims()) as connection:
            conversation = await self._continued(connection, caller, request)
            last = request.previous_turn or _LAST
            turns = await self._turns(connection, caller, conversation, last, MOST_TURNS)
        return PastConversation(conversation, _within_bounds(turns))

    async def add(
        self,
        connection: Connection,
        caller: Caller,
        conversation: UUID,
        turn: UUID,
        answer_event: UUID,
        *,
        refused: bool,
    ) -> None:
        """Adds a turn in the transaction that records its answer."""
        await self._begin(connection, caller, conversation)
        await connection.execute(queries.add_turn, caller.tenant_id, turn, conversation, answer_event, refused)

    async def list_own(self, caller: Caller, before: UUID | None, limit: int) -> ConversationList:
        """Returns the caller's conversations, the last begun first, and records that they were read."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            since, last = datetime(9999, 1, 1, tzinfo=UTC), _LAST
            if before is not None:
                since, last = await self._began(connection, caller, before), before
            rows = await connection.fetch(queries.conversations, caller.tenant_id, since, last, limit + 1)
            texts = await self._texts(connection, caller, [row["first_answer"] for row in rows[:limit]])
            listed = ConversationRead(read=ConversationsRead(conversations=len(rows[:limit])))
            await self.recorder.record(connection, caller, Event(listed))
        found = [
            ConversationSummary(
                id=row["id"], began_at=row["began_at"], turns=row["turns"],
                first_question=texts[row["first_answer"]].get("question"),
            )
            for row in rows[:limit]
        ]  # fmt: skip
        return ConversationList(conversations=found, next_cursor=found[-1].id if len(rows) > limit else None)

    async def read(self, caller: Caller, conversation: UUID) -> ConversationView:
        """Returns one of the caller's conversations with its turns, and records that; raises NotFound."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            began = await self._began(connection, caller, conversation)
            turns = await self._turns(connection, caller, conversation, _LAST, _ALL_TURNS)
            await self.recorder.record(connection, caller, Event(ConversationRead(conversation=conversation)))
        return ConversationView(id=conversation, began_at=began, turns=turns)

    async def read_turn(self, caller: Caller, turn: UUID) -> OwnTurn:
        """Returns one of the caller's own turns, and records that it was read; raises NotFound."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            conversation = await self._conversation_of(connection, caller, turn)
            (view,) = await self._turns(connection, caller, conversation, turn, 1)
            read = ConversationRead(read=ConversationsRead(turns=1), conversation=conversation)
            await self.recorder.record(connection, caller, Event(read))
        return view

    async def rate(self, caller: Caller, turn: UUID, feedback: Feedback) -> RecordedFeedback:
        """Records what the caller thinks of an answer that it got; raises NotFound for any other turn."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            conversation = await self._conversation_of(connection, caller, turn)
            event = Event(
                AnswerRated(turn=turn, conversation=conversation, rating=feedback.rating),
                payloads={} if feedback.comment is None else {"comment": feedback.comment},
            )
            rated = await self.recorder.record(connection, caller, event)
            if feedback.rating == "wrong":
                await connection.execute(queries.add_candidate, caller.tenant_id, turn, caller.principal_id)
            return RecordedFeedback(turn=turn, audit_event_id=rated)

    async def _continued(self, connection: Connection, caller: Caller, request: AnswerRequest) -> UUID:
        named = request.conversation
        if request.previous_turn is not None:
            conversation = await self._conversation_of(connection, caller, request.previous_turn)
            if named not in {None, conversation}:
                raise NotFound(reason="turn:of_another_conversation")
            return conversation
        assert named is not None
        await self._begin(connection, caller, named)
        await self._began(connection, caller, named)
        return named

    async def _begin(self, connection: Connection, caller: Caller, conversation: UUID) -> None:
        await connection.execute(
            queries.begin_conversation, caller.tenant_id, conversation, caller.principal_id, caller.subject_id
        )

    async def _began(self, connection: Connection, caller: Caller, conversation: UUID) -> datetime:
        began = await connection.fetchval(queries.own_conversation, caller.tenant_id, conversation)
        if began is None:
            raise NotFound(reason="conversation:not_own")
        assert isinstance(began, datetime)
        return began

    async def _conversation_of(self, connection: Connection, caller: Caller, turn: UUID) -> UUID:
        conversation = await connection.fetchval(queries.conversation_of_turn, caller.tenant_id, turn)
        if conversation is None:
            raise NotFound(reason="turn:not_own")
        return UUID(str(conversation))

    async def _turns(
        self, connection: Connection, caller: Caller, conversation: UUID, last: UUID, limit: int
    ) -> list[OwnTurn]:
        """Returns turns oldest first; the texts of one that was erased are null."""
        rows = await connection.fetch(queries.turns, caller.tenant_id, conversation, last, limit)
        texts = await self._texts(connection, caller, [row["answer_event"] for row in rows])
        return [
            OwnTurn(
                turn=row["id"], answered_at=row["answered_at"], refused=row["refused"],
                question=said.get("question"), read_as=said.get("read_as"), answer=said.get("answer"),
                citations=_CITATIONS.validate_json(said.get("citations", "[]")), audit_event_id=row["answer_event"],
            )
            for row in reversed(rows)
            for said in [texts[row["answer_event"]]]
        ]  # fmt: skip

    async def _texts(
        self, connection: Connection, caller: Caller, events: Sequence[UUID]
    ) -> Mapping[UUID, dict[str, str]]:
        reader = self.vault.reader(caller.tenant_id)
        texts = defaultdict[UUID, dict[str, str]](dict)
        for row in await connection.fetch(queries.texts, caller.tenant_id, list(events)):
            _, text = await reader.decrypt(
                row["key_id"], row["wrapped"], row["event_id"], row["name"], row["ciphertext"]
            )
            texts[row["event_id"]][row["name"]] = text
        return texts


def _within_bounds(turns: Sequence[OwnTurn]) -> tuple[PastTurn, ...]:
    """Returns the latest turns whose texts are within bounds, oldest first."""
    kept: list[PastTurn] = []
    left = MOST_CHARACTERS
    for turn in reversed(turns):
        if turn.question is None:
            continue
        past = PastTurn(turn.question, turn.read_as or turn.question, turn.answer or "")
        left -= len(past.question) + len(past.answer)
        if left < 0:
            break
        kept.append(past)
    return tuple(reversed(kept))

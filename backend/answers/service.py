"""The rules of answering: retrieve and record the prompt, generate, record the answer, and only then show it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.answers import prompt as prompts
from backend.answers.citations import Answer, Sentence
from backend.answers.conversations import Conversations
from backend.answers.delivery import CLIENT_LEFT, Delivery
from backend.answers.followup import read_with
from backend.answers.generator import Generation, Generator, GeneratorError, Usage
from backend.answers.models import AnswerRequest, AnswerResponse, SupersededVersion, UsedTokens
from backend.answers.superseded import find_superseded, notice, passages, vector_of
from backend.answers.turn import Turn, abortion_event, answer_event, prompt_event, sentence_event
from backend.audit.events import Event
from backend.audit.recorder import Draft, Recorder
from backend.errors import Abandoned, ServiceError, Unavailable
from backend.identity.callers.caller import Caller
from backend.retrieval.ask import Retrieval, milliseconds
from backend.retrieval.models import RetrievalRequest
from backend.tenancy import Tenancy

PASSAGES = 8  # in one prompt


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers questions; two transactions, with the generator between them."""

    tenancy: Tenancy
    recorder: Recorder
    retrieval: Retrieval
    generator: Generator
    conversations: Conversations
    public_url: str

    async def answer(
        self,
        caller: Caller,
        request: AnswerRequest,
        departure: Callable[[], Coroutine[None, None, None]],
        turn_id: UUID | None = None,
    ) -> AnswerResponse:
        """Returns an answer whose record is committed; raises Unavailable when there is no generator or no record.

        `departure` waits until the client is gone; there is no answer then, and the record says so.
        `turn_id` names the turn.
        """
        turn = await self._ask(caller, request, turn_id)
        async with self._ended(caller, turn):
            started = time.perf_counter()
            generation = await _unless(departure(), self.generator.generate(turn.prompt))
            answer = Answer(self.public_url)
            for claim in generation.claims:
                answer.add(claim)
            return await self._record_answer(caller, turn, answer, generation, milliseconds(started))

    def stream(
        self, caller: Caller, request: AnswerRequest, turn_id: UUID | None = None
    ) -> Delivery[Sentence | AnswerResponse]:
        """Delivers sentences as they are made, each when its record is committed, and at last the whole answer.

        `turn_id` names the turn, for protocols that name an answer before it is made.
        Fails as `answer` does, and then whatever was delivered is on record.
        """

        async def make(send: Callable[[Sentence | AnswerResponse], None]) -> None:
            turn = await self._ask(caller, request, turn_id)
            async with self._ended(caller, turn):
                await self._make(caller, turn, send)

        return Delivery(make)

    async def _make(self, caller: Caller, turn: Turn, send: Callable[[Sentence | AnswerResponse], None]) -> None:
        """Sends sentences while others are being made, then what the finished answer adds to them, and itself."""
        started, answer, shown = time.perf_counter(), Answer(self.public_url), 0
        async with aclosing(self.generator.stream(turn.prompt)) as made:
            async for item in made:
                if isinstance(item, Generation):
                    generation = item
                    break
                sentence = answer.add(item)
                await self._record(caller, sentence_event(turn, sentence))
                send(sentence)
                shown += 1
        rest = [answer.add(claim) for claim in generation.claims[shown:]]
        response = await self._record_answer(caller, turn, answer, generation, milliseconds(started))
        for sentence in rest:
            send(sentence)
        send(response)

    async def _ask(self, caller: Caller, request: AnswerRequest, turn_id: UUID | None = None) -> Turn:
        """Reads the question with what was said before, retrieves, and records retrieval and prompt."""
        thread = await self.conversations.thread(caller, request)
        read_as = read_with(thread.history, request.question)
        question = read_as or request.question
        wanted = RetrievalRequest(
            query=question, k=PASSAGES, source_type=request.source_type, collection=request.collection,
            language=request.language, filters=request.filters, effective_from=request.effective_from, as_of=request.as_of,
            known_at=request.known_at, as_caller_then=request.as_caller_then, conversation=thread.conversation,
        )  # fmt: skip
        async with self.retrieval.asking(caller, wanted) as (connection, asked):
            prompt = prompts.render(question, passages(asked.hits), vector=vector_of(asked))
            turn = Turn(turn_id or uuid7(), thread.conversation, request.question, read_as, asked, prompt)
            await self.recorder.record(connection, asked.caller, prompt_event(turn, self.generator), Draft(turn.id))
        return turn

    @asynccontextmanager
    async def _ended(self, caller: Caller, turn: Turn) -> AsyncIterator[None]:
        """Sees to it that the turn has an end on record, whatever happens to it."""
        try:
            yield
        except GeneratorError as error:
            await self._record_abortion(caller, turn, f"generator:{type(error).__name__}")
            raise Unavailable("The model server is unavailable; nothing was answered.", reason="generator") from error
        except Abandoned:
            await self._record_abortion(caller, turn, CLIENT_LEFT)
            raise
        except asyncio.CancelledError as error:  # nobody listens any more, or the service stops
            reason = CLIENT_LEFT if CLIENT_LEFT in error.args else "service:stopped"
            await asyncio.shield(self._record_abortion(caller, turn, reason))
            raise
        except Exception as error:
            with suppress(ServiceError):  # what keeps the answer from being recorded can keep this from it too
                await self._record_abortion(caller, turn, f"service:{type(error).__name__}")
            raise

    async def _record_answer(
        self, caller: Caller, turn: Turn, answer: Answer, generation: Generation, generated: int
    ) -> AnswerResponse:
        """Records the answer, which took `generated` milliseconds, and returns what may then be shown."""
        superseded: Sequence[SupersededVersion] = []
        if generation.refusal is not None:
            superseded = await find_superseded(self.retrieval, turn.asked)
        event = answer_event(turn, answer, generation, superseded, generated)
        refused = generation.refusal is not None
        async with self.tenancy.transaction(caller.claims()) as connection:
            event_id = await self.recorder.record(connection, caller, event)
            await self.conversations.add(connection, caller, turn.conversation, turn.id, event_id, refused=refused)
        return AnswerResponse(
            question=turn.question, answer=answer.text, refused=refused,
            reason=generation.refusal, citations=answer.citations, dropped=len(generation.dropped), cut=generation.cut,
            superseded=list(superseded), notice=notice(superseded), model=generation.model_served,
            usage=_used(generation.usage), turn=turn.id, conversation=turn.conversation, read_as=turn.read_as,
            audit_event_id=event_id,
        )  # fmt: skip

    async def _record_abortion(self, caller: Caller, turn: Turn, reason: str) -> None:
        await self._record(caller, abortion_event(turn, reason))

    async def _record(self, caller: Caller, event: Event) -> UUID:
        async with self.tenancy.transaction(caller.claims()) as connection:
            return await self.recorder.record(connection, caller, event)


def _used(usage: Usage) -> UsedTokens | None:
    return None if usage == Usage() else UsedTokens(**asdict(usage))


async def _unless(departure: Coroutine[None, None, None], generation: Coroutine[None, None, Generation]) -> Generation:
    """Returns the generation; raises Abandoned when the client leaves before it is there."""
    leaving, generating = asyncio.create_task(departure), asyncio.create_task(generation)
    try:
        await asyncio.wait({leaving, generating}, return_when=asyncio.FIRST_COMPLETED)
        if not generating.done():
            raise Abandoned
        return generating.result()
    finally:
        leaving.cancel()
        generating.cancel()
        await asyncio.gather(leaving, generating, return_exceptions=True)

"""The rules of answering: retrieve and record the prompt, generate, record the answer, and only then show it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from backend import metrics
from backend.answers import measures
from backend.answers import prompt as prompts
from backend.answers.citations import Answer, Sentence
from backend.answers.conversations import Conversations
from backend.answers.delivery import CLIENT_LEFT, Delivery
from backend.answers.followup import read_with
from backend.answers.generator import Generation, GeneratorError, GeneratorUnavailable, Usage
from backend.answers.generators import Generators
from backend.answers.models import AnswerRequest, AnswerResponse, SupersededVersion, UsedTokens
from backend.answers.pins import Choice, Pins, Trial
from backend.answers.policy.service import chosen
from backend.answers.said import NOTHING, ClientSaid
from backend.answers.superseded import find_superseded, notice, passages, vector_of
from backend.answers.turn import (
    Turn,
    abortion_event,
    answer_event,
    prompt_event,
    refusal_event,
    reservation,
    sentence_event,
    tokens_used,
)
from backend.audit.actions.answers import RecordedEvaluation
from backend.audit.events import Event
from backend.audit.recorder import Draft, Recorder
from backend.database import Connection
from backend.errors import Abandoned, BudgetExhausted, ServiceError, Unavailable
from backend.identity.callers.caller import Caller
from backend.identity.callers.standing import Standing
from backend.identity.usage.accounting import Accounting
from backend.retrieval.ask import Retrieval, milliseconds
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Hit
from backend.tenancy import Tenancy


def _nobody_looks(_: Sequence[Hit]) -> None:
    """Stands where nobody asked what was found."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers questions; two transactions, with the generator between them."""

    tenancy: Tenancy
    recorder: Recorder
    retrieval: Retrieval
    generators: Generators
    conversations: Conversations
    accounting: Accounting
    public_url: str
    chunking: str

    async def answer(
        self,
        caller: Caller,
        request: AnswerRequest,
        departure: Callable[[], Coroutine[None, None, None]],
        turn_id: UUID | None = None,
        said: ClientSaid = NOTHING,
        trial: Trial | None = None,
        found: Callable[[Sequence[Hit]], None] = _nobody_looks,
        within: frozenset[UUID] | None = None,
    ) -> AnswerResponse:
        """Returns an answer whose record is committed; raises Unavailable when there is no generator or no record.

        `departure` waits until the client is gone; there is no answer then, and the record says so.
        `turn_id` names the turn. `said` is what the client claims was said before. What a `trial` asks stands in no conversation.
        `found` is given what was retrieved, once that is on record. `within` confines to collections by their ids.
        """
        turn = await self._ask(caller, request, turn_id, said, trial, within)
        found(turn.asked.hits)
        async with self._ended(caller, turn):
            started = time.perf_counter()
            with metrics.stage("generate"):
                generation = turn.unmasking.generation(await _unless(departure(), turn.generator.generate(turn.prompt)))
            answer = Answer(self.public_url)
            for claim in generation.claims:
                answer.add(claim)
            return await self._record_answer(caller, turn, answer, generation, milliseconds(started))

    def stream(
        self,
        caller: Caller,
        request: AnswerRequest,
        turn_id: UUID | None = None,
        said: ClientSaid = NOTHING,
        found: Callable[[Sequence[Hit]], None] = _nobody_looks,
        within: frozenset[UUID] | None = None,
    ) -> Delivery[Sentence | AnswerResponse]:
        """Delivers sentences as they are made, each when its record is committed, and at last the whole answer.

        `turn_id` names the turn, for protocols that name an answer before it is made. `found` and `within` are as in `answer`.
        Fails as `answer` does, and then whatever was delivered is on record.
        """

        async def make(send: Callable[[Sentence | AnswerResponse], None]) -> None:
            turn = await self._ask(caller, request, turn_id, said, within=within)
            found(turn.asked.hits)
            async with self._ended(caller, turn):
                await self._make(caller, turn, send)

        return Delivery(make, Standing(self.tenancy, caller).check)

    async def _make(self, caller: Caller, turn: Turn, send: Callable[[Sentence | AnswerResponse], None]) -> None:
        """Sends sentences while others are being made, then what the finished answer adds to them, and itself."""
        started, answer, shown = time.perf_counter(), Answer(self.public_url), 0
        async with aclosing(turn.generator.stream(turn.prompt)) as made:
            async for item in made:
                if isinstance(item, Generation):
                    generation = turn.unmasking.generation(item)
                    break
                sentence = answer.add(turn.unmasking.claim(item))
                await self._record(caller, sentence_event(turn, sentence))
                send(sentence)
                shown += 1
        rest = [answer.add(claim) for claim in generation.claims[shown:]]
        response = await self._record_answer(caller, turn, answer, generation, milliseconds(started))
        for sentence in rest:
            send(sentence)
        send(response)

    def pins(self, caller: Caller, choice: Choice) -> Pins:
        """Returns what answers the caller's tenant when it chose this."""
        return Pins.of(self.retrieval, self.generators, self.chunking, choice, caller.tenant_slug)

    async def _choice(
        self, connection: Connection, caller: Caller, trial: Trial | None
    ) -> tuple[Choice, RecordedEvaluation | None]:
        """Returns what a question is answered by, and what its record says of that; raises Unavailable if nobody approved it."""
        if trial is not None:
            return trial.choice, RecordedEvaluation(trial=trial.run)
        choice, approval = await chosen(connection, caller)
        told = approval.against(self.pins(caller, choice))
        if approval.refuses and (told is None or told.differs):
            detail = "What answers questions here is not what your institution approved."
            raise Unavailable(detail, reason="evaluation:not_approved")
        return choice, told

    async def _ask(
        self,
        caller: Caller,
        request: AnswerRequest,
        turn_id: UUID | None,
        said: ClientSaid = NOTHING,
        trial: Trial | None = None,
        within: frozenset[UUID] | None = None,
    ) -> Turn:
        """Reads the question with what was said before, retrieves, and records retrieval and prompt."""
        thread = await self.conversations.thread(caller, request)
        read_as = read_with(thread.history or said.history(), request.question)
        question = read_as or request.question
        wanted = RetrievalRequest(
            query=question, k=request.passages, source_type=request.source_type, collection=request.collection,
            language=request.language, filters=request.filters, effective_from=request.effective_from, as_of=request.as_of,
            known_at=request.known_at, as_caller_then=request.as_caller_then, conversation=thread.conversation,
        )  # fmt: skip
        try:
            async with self.retrieval.asking(caller, wanted, within) as (connection, asked):
                turn_id = turn_id or uuid7()  # after the retrieval, as timelines tell them
                policy, evaluation = await self._choice(connection, caller, trial)
                generator = self.generators.chosen(caller.tenant_slug, policy.models)
                prompt = prompts.render(
                    asked.question.request.query,
                    passages(asked.hits),
                    vector=vector_of(asked),
                    levels=policy.support_levels,
                )
                reserved = reservation(turn_id, asked, prompt, generator)
                turn = Turn(
                    turn_id, thread.conversation, request.question, read_as, asked, prompt, generator, reserved, said,
                    evaluation,
                )  # fmt: skip
                await self.recorder.record(connection, asked.caller, prompt_event(turn), Draft(turn.id))
                await self.accounting.reserve(connection, caller, reserved)
        except BudgetExhausted as error:  # recorded here, since a stream has no other place
            assert turn_id is not None
            await self._record(caller, refusal_event(turn_id, error))
            error.recorded = True
            raise
        return turn

    @asynccontextmanager
    async def _ended(self, caller: Caller, turn: Turn) -> AsyncIterator[None]:
        """Sees to it that the turn has an end on record, and that a failure says that the question is on record."""
        try:
            async with self._ending(caller, turn):
                yield
        except ServiceError as error:
            error.in_turn = True
            raise

    @asynccontextmanager
    async def _ending(self, caller: Caller, turn: Turn) -> AsyncIterator[None]:
        """Sees to it that the turn has an end on record, whatever happens to it."""
        metrics.OPEN_TURNS.inc()
        try:
            yield
        except GeneratorError as error:
            unasked = isinstance(error, GeneratorUnavailable)
            await self._record_abortion(caller, turn, f"generator:{type(error).__name__}", unasked=unasked)
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
        finally:
            metrics.OPEN_TURNS.dec()

    async def _record_answer(
        self, caller: Caller, turn: Turn, answer: Answer, generation: Generation, generated: int
    ) -> AnswerResponse:
        """Records the answer, which took `generated` milliseconds, and returns what may then be shown."""
        superseded: Sequence[SupersededVersion] = []
        if generation.refusal is not None:
            superseded = await find_superseded(self.retrieval, turn.asked, self.generators.built_in)
        used, model = tokens_used(turn.prompt, generation), generation.model_requested
        told = self.accounting.described(model, used)
        event = answer_event(turn, answer, generation, superseded, generated, told)
        refused = generation.refusal is not None
        with metrics.stage("record_answer"):
            async with self.tenancy.transaction(caller.claims()) as connection:
                event_id = await self.recorder.record(connection, caller, event)
                if turn.evaluation is None or turn.evaluation.trial is None:
                    await self.conversations.add(
                        connection, caller, turn.conversation, turn.id, event_id, refused=refused
                    )
                await self.accounting.settle(connection, turn.reserved, used, model)
                for failed in generation.failed:
                    if failed.timed_out:  # what it used nobody knows, so all that it might have
                        await self.accounting.settle(connection, turn.reserved, model=failed.name)
        measures.count(generation, told)
        return AnswerResponse(
            question=turn.question, answer=answer.text, refused=refused,
            reason=generation.refusal, citations=answer.citations, dropped=len(generation.dropped), cut=generation.cut,
            superseded=list(superseded), notice=notice(superseded), model=generation.model_served,
            usage=_used(generation.usage), turn=turn.id, conversation=turn.conversation, read_as=turn.read_as,
            audit_event_id=event_id,
        )  # fmt: skip

    async def _record_abortion(self, caller: Caller, turn: Turn, reason: str, *, unasked: bool = False) -> None:
        """Records a turn without an answer. What was reserved counts whole, unless the model was not reached."""
        measures.count_abortion(reason)
        async with self.tenancy.transaction(caller.claims()) as connection:
            await self.recorder.record(connection, caller, abortion_event(turn, reason))
            settling = self.accounting.release if unasked else self.accounting.settle
            await settling(connection, turn.reserved)

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

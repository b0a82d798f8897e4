"""The rules of answering: retrieve and record the prompt, generate, record the answer, and only then show it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter
from uuid_utils.compat import uuid7

from backend.answers import prompt as prompts
from backend.answers.generator import Generation, Generator, GeneratorError, Prompt
from backend.answers.models import AnswerRequest, AnswerResponse, Citation, SupersededVersion
from backend.answers.superseded import find_superseded, notice, passages
from backend.audit.events import Action, Event, Outcome, without_nulls
from backend.audit.recorder import Draft, Recorder
from backend.errors import Abandoned, Unavailable
from backend.identity.callers.caller import Caller
from backend.retrieval.ask import Retrieval, milliseconds
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Asked
from backend.tenancy import Tenancy

PASSAGES = 8  # in one prompt
_CITATIONS = TypeAdapter(list[Citation])


@dataclass(frozen=True, slots=True)
class _Turn:
    """A question that is being answered: `id` is its prompt's event, `asked` what the prompt was made of."""

    id: UUID
    asked: Asked
    prompt: Prompt

    @property
    def named(self) -> dict[str, str]:
        """How its events name it, so that they are found together."""
        conversation = self.asked.question.request.conversation
        return {"turn": str(self.id), **({"conversation": str(conversation)} if conversation else {})}


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers questions; two transactions, with the generator between them."""

    tenancy: Tenancy
    recorder: Recorder
    retrieval: Retrieval
    generator: Generator

    async def answer(
        self, caller: Caller, request: AnswerRequest, departure: Callable[[], Coroutine[None, None, None]]
    ) -> AnswerResponse:
        """Returns an answer whose record is committed; raises Unavailable when there is no generator or no record.

        `departure` waits until the client is gone; there is no answer then, and the record says so.
        """
        turn = await self._ask(caller, request)
        superseded: list[SupersededVersion] = []
        started = time.perf_counter()
        try:
            generation = await _unless(departure(), self.generator.generate(turn.prompt))
            generated = milliseconds(started)
            if generation.refusal is not None:
                superseded = await find_superseded(self.retrieval, turn.asked)
        except GeneratorError as error:
            await self._record_abortion(caller, turn, f"generator:{type(error).__name__}")
            raise Unavailable("The model server is unavailable; nothing was answered.", reason="generator") from error
        except Abandoned:
            await self._record_abortion(caller, turn, "client:disconnected")
            raise
        except asyncio.CancelledError:  # the service stops; the question still gets an end on record
            await asyncio.shield(self._record_abortion(caller, turn, "service:stopped"))
            raise
        return await self._record_answer(caller, turn, generation, generated, superseded)

    async def _ask(self, caller: Caller, request: AnswerRequest) -> _Turn:
        """Retrieves, and records retrieval and prompt."""
        wanted = RetrievalRequest(
            query=request.question, k=PASSAGES, source_type=request.source_type, collection=request.collection,
            language=request.language, filters=request.filters, effective_from=request.effective_from, as_of=request.as_of,
            known_at=request.known_at, as_caller_then=request.as_caller_then, conversation=request.conversation,
        )  # fmt: skip
        async with self.retrieval.asking(caller, wanted) as (connection, asked):
            turn = _Turn(uuid7(), asked, prompts.render(request.question, passages(asked.hits)))
            await self.recorder.record(connection, asked.caller, self._prompt_event(turn), Draft(turn.id))
        return turn

    def _prompt_event(self, turn: _Turn) -> Event:
        prompt = turn.prompt
        details = {
            "template": prompt.version,
            "template_sha256": prompts.TEMPLATE_SHA256,
            "model": self.generator.name,
            "parameters": dict(self.generator.parameters),
            "retrieval": str(turn.asked.event_id),
            "chunks": [str(passage.chunk_id) for passage in prompt.passages],
        }
        payloads = {"question": prompt.question, "system_prompt": prompt.system, "user_prompt": prompt.user}
        doc_ids = [passage.doc_id for passage in prompt.passages]
        return Event(
            Action.PROMPT_SUBMITTED,
            details={**turn.named, "prompt": details},
            payloads=payloads,
            doc_ids=doc_ids,
        )

    async def _record_answer(
        self, caller: Caller, turn: _Turn, generation: Generation, generated: int,
        superseded: Sequence[SupersededVersion],
    ) -> AnswerResponse:  # fmt: skip
        """Records the answer, which took `generated` milliseconds, and returns what may then be shown."""
        citations = _citations(generation)
        refused = generation.refusal is not None
        event = Event(
            Action.ANSWER_REFUSED if refused else Action.ANSWER_RETURNED,
            Outcome.REFUSED if refused else Outcome.SUCCEEDED,
            generation.refusal,
            details={
                **turn.named,
                "answer": {**self._describe(turn.prompt, generation, superseded), "milliseconds": generated},
            },
            payloads={
                "question": turn.prompt.question,
                "answer": generation.text,
                "completion": generation.completion,
                "citations": _CITATIONS.dump_json(citations).decode(),
            },
            doc_ids=[citation.doc_id for citation in citations],
        )
        async with self.tenancy.transaction(caller.claims()) as connection:
            event_id = await self.recorder.record(connection, caller, event)
        return AnswerResponse(
            question=turn.prompt.question, answer=generation.text, refused=refused, reason=generation.refusal,
            citations=citations, superseded=list(superseded), notice=notice(superseded),
            model=generation.model_served, audit_event_id=event_id,
        )  # fmt: skip

    def _describe(
        self, prompt: Prompt, generation: Generation, superseded: Sequence[SupersededVersion]
    ) -> dict[str, object]:
        cited = dict.fromkeys(str(quote.passage.chunk_id) for claim in generation.claims for quote in claim.quotes)
        described = {
            "template": prompt.version,
            "model_requested": generation.model_requested,
            "model_served": generation.model_served,
            "parameters": dict(self.generator.parameters),
            "finish_reason": generation.finish_reason,
            "prompt_tokens": generation.prompt_tokens,
            "completion_tokens": generation.completion_tokens,
            "citations": list(cited),
            "dropped_sentences": len(generation.dropped),
            "superseded": [{"doc_id": old.doc_id, "version": old.document_version} for old in superseded] or None,
        }
        return without_nulls(described)

    async def _record_abortion(self, caller: Caller, turn: _Turn, reason: str) -> None:
        event = Event(Action.ANSWER_ABORTED, Outcome.ABORTED, reason, details=turn.named)
        async with self.tenancy.transaction(caller.claims()) as connection:
            await self.recorder.record(connection, caller, event)


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


def _citations(generation: Generation) -> list[Citation]:
    quotes = dict.fromkeys(quote for claim in generation.claims for quote in claim.quotes)
    return [
        Citation(
            document_id=quote.passage.document_id, doc_id=quote.passage.doc_id,
            document_version=quote.passage.document_version, **quote.passage.span._asdict(),
            chunk_id=quote.passage.chunk_id, quote=quote.text,
        )
        for quote in quotes
    ]  # fmt: skip

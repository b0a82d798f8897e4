"""A question that is being answered, and its events: every one of them names the turn, and each turn gets an end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from backend.answers import prompt as prompts
from backend.answers.citations import Answer, Sentence, changed_quotes
from backend.answers.fallback import Fallback
from backend.answers.generator import Claim, FailedModel, Generation, Prompt
from backend.answers.grounding.evidence import addresses_a_model
from backend.answers.grounding.verdict import VERSION as GROUNDING_VERSION
from backend.answers.models import Citation, SupersededVersion
from backend.answers.said import NOTHING, ClientSaid
from backend.answers.unmasking import Unmasking, masked_in
from backend.audit.actions.answers import (
    AnswerAborted,
    AnswerRefused,
    AnswerReturned,
    AnswerShown,
    EvidenceSpan,
    GivenAnswer,
    GroundedSentence,
    ModelFailure,
    PromptSubmitted,
    ReadAs,
    RecordedEvaluation,
    RecordedGrounding,
    SubmittedPrompt,
    SupersededCitation,
    TokensUsed,
)
from backend.audit.actions.sign_in import AccessDenied
from backend.audit.events import Event, Outcome
from backend.errors import BudgetExhausted
from backend.identity.usage.accounting import Reservation, Tokens, estimated_tokens
from backend.retrieval.stages import Asked

_CITATIONS = TypeAdapter(Sequence[Citation])


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that is being answered: `id` is its prompt's event, `asked` what the prompt was made of."""

    id: UUID
    conversation: UUID
    question: str
    read_as: str | None  # with what it meant of earlier questions
    asked: Asked
    prompt: Prompt
    generator: Fallback
    reserved: Reservation  # of budgets, for the generator
    said: ClientSaid = NOTHING  # before, as the client tells it
    evaluation: RecordedEvaluation | None = None  # under which it is answered

    @property
    def unmasking(self) -> Unmasking:
        """Puts back the personal data that its prompt has pseudonyms for."""
        return Unmasking.of(self.asked)


def reservation(turn_id: UUID, asked: Asked, prompt: Prompt, generator: Fallback) -> Reservation:
    """Returns what the generator may use for a prompt, at most. Without passages it is not asked."""
    slugs = asked.question.request.collections or []
    read = estimated_tokens(prompt.system, prompt.user)
    most = Tokens(read, generator.longest_answer, estimated=True) if prompt.passages else Tokens(0, 0)
    return Reservation(turn_id, generator.name, slugs[0] if len(slugs) == 1 else "", most, generator.others)


def tokens_used(prompt: Prompt, generation: Generation) -> Tokens:
    """Returns the tokens that a server counted, or an estimate where it counted none."""
    if not prompt.passages:
        return Tokens(0, 0)
    read, written = generation.usage.prompt_tokens, generation.usage.completion_tokens
    if read is not None and written is not None:
        return Tokens(read, written)
    return Tokens(estimated_tokens(prompt.system, prompt.user), estimated_tokens(generation.completion), estimated=True)


def refusal_event(turn_id: UUID, error: BudgetExhausted) -> Event:
    """Returns the record of a question that was not asked, since a budget had no room for it."""
    return Event(AccessDenied(turn=turn_id), Outcome.DENIED, error.reason)


def prompt_event(turn: Turn) -> Event:
    """Returns the record of what the generator is about to be given."""
    prompt, generator = turn.prompt, turn.generator
    addressing = [passage.number for passage in prompt.passages if addresses_a_model(passage.text)]
    submitted = SubmittedPrompt(
        template=prompt.version,
        template_sha256=prompts.TEMPLATE_SHA256,
        model=generator.name,
        parameters=generator.parameters,
        retrieval=turn.asked.event_id,
        chunks=[passage.chunk_id for passage in prompt.passages],
        addressing_a_model=len(addressing) or None,
        fallbacks=generator.others or None,
        support_levels=None if prompt.levels is None else sorted(prompt.levels),
        masked=masked_in(prompt, turn.asked) or None,
        reserved_tokens=turn.reserved.most.prompt + turn.reserved.most.completion or None,
        read_as=ReadAs(by="terms", used=True) if turn.read_as else None,
    )
    payloads = {"question": turn.question, "system_prompt": prompt.system, "user_prompt": prompt.user}
    payloads |= turn.said.payloads()
    doc_ids = [passage.doc_id for passage in prompt.passages]
    return Event(
        PromptSubmitted(turn=turn.id, conversation=turn.conversation, prompt=submitted),
        payloads=payloads,
        doc_ids=doc_ids,
    )


def sentence_event(turn: Turn, sentence: Sentence) -> Event:
    """Returns the record of a sentence that is shown while the answer is still being made."""
    return Event(
        AnswerShown(turn=turn.id, conversation=turn.conversation, citations=_cited(sentence.citations)),
        payloads={"sentence": sentence.text, "citations": _dumped(sentence.citations)},
        doc_ids=_documents(sentence.citations),
    )


def answer_event(
    turn: Turn, answer: Answer, generation: Generation, superseded: Sequence[SupersededVersion], milliseconds: int,
    used: TokensUsed,
) -> Event:  # fmt: skip
    """Returns the record of an answer, or refusal, that took so many milliseconds to make, and of what it `used`."""
    refused = generation.refusal is not None
    payloads = {
        "question": turn.question,
        "answer": answer.text,
        "completion": generation.completion,
        "citations": _dumped(answer.citations),
    }
    if turn.read_as is not None:
        payloads["read_as"] = turn.read_as
    if changed := list(changed_quotes(generation.claims)):
        payloads["quotes"] = orjson.dumps(changed).decode()
    kind = AnswerRefused if refused else AnswerReturned
    described = _described(turn.prompt, answer, generation, superseded, milliseconds)
    given = replace(described, used=used, evaluation=turn.evaluation)
    return Event(
        kind(turn=turn.id, conversation=turn.conversation, answer=given),
        Outcome.REFUSED if refused else Outcome.SUCCEEDED,
        generation.refusal,
        payloads=payloads,
        doc_ids=_documents(answer.citations),
    )


def abortion_event(turn: Turn, reason: str) -> Event:
    """Returns the record of a question that got no answer, or only the beginning of one."""
    return Event(AnswerAborted(turn=turn.id, conversation=turn.conversation), Outcome.ABORTED, reason)


def _described(
    prompt: Prompt, answer: Answer, generation: Generation, superseded: Sequence[SupersededVersion], milliseconds: int
) -> GivenAnswer:
    return GivenAnswer(
        template=prompt.version,
        model_requested=generation.model_requested,
        model_served=generation.model_served,
        parameters=generation.parameters,
        finish_reason=generation.finish_reason,
        prompt_tokens=generation.usage.prompt_tokens,
        completion_tokens=generation.usage.completion_tokens,
        reasoning_tokens=generation.usage.reasoning_tokens,
        citations=_cited(answer.citations),
        support=[citation.support.value for citation in answer.citations] or None,
        grounding=_grounding(generation),
        dropped_sentences=len(generation.dropped),
        superseded=[SupersededCitation(doc_id=old.doc_id, version=old.document_version) for old in superseded] or None,
        milliseconds=milliseconds,
        failed=[_failure(model) for model in generation.failed] or None,
    )


def _failure(model: FailedModel) -> ModelFailure:
    return ModelFailure(model=model.name, failure="timeout" if model.timed_out else "unavailable")


def _grounding(generation: Generation) -> RecordedGrounding:
    """Returns what the check found of each sentence, and why others were dropped; likeness is in millionths."""
    found = [_found(claim) for claim in generation.claims]
    reasons = Counter(reason.value for reason in generation.reasons)
    return RecordedGrounding(
        version=GROUNDING_VERSION, sentences=found or None, dropped=dict(sorted(reasons.items())) or None
    )


def _found(claim: Claim) -> GroundedSentence:
    spans = [
        EvidenceSpan(chunk=quote.passage.chunk_id, start=quote.start, end=quote.start + len(quote.text))
        for quote in claim.quotes
    ]
    likeness = claim.verdict.likeness if claim.verdict else None
    return GroundedSentence(
        support=claim.support.value,
        evidence=spans,
        likeness_micros=None if likeness is None else round(likeness * 1_000_000),
        judge=claim.verdict.judge if claim.verdict else None,
    )


def _cited(citations: Sequence[Citation]) -> list[UUID]:
    return list(dict.fromkeys(citation.chunk_id for citation in citations))


def _documents(citations: Sequence[Citation]) -> list[str]:
    return [citation.doc_id for citation in citations]


def _dumped(citations: Sequence[Citation]) -> str:
    return _CITATIONS.dump_json(citations).decode()

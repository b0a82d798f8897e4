"""A question that is being answered, and its events: every one of them names the turn, and each turn gets an end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from backend.answers import prompt as prompts
from backend.answers.citations import Answer, Sentence, changed_quotes
from backend.answers.generator import Claim, Generation, Generator, Prompt
from backend.answers.grounding.evidence import addresses_a_model
from backend.answers.grounding.verdict import VERSION as GROUNDING_VERSION
from backend.answers.models import Citation, SupersededVersion
from backend.audit.events import Action, Event, Outcome, without_nulls
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

    @property
    def named(self) -> dict[str, str]:
        """How its events name it, so that they are found together."""
        return {"turn": str(self.id), "conversation": str(self.conversation)}


def prompt_event(turn: Turn, generator: Generator) -> Event:
    """Returns the record of what the generator is about to be given."""
    prompt = turn.prompt
    addressing = [passage.number for passage in prompt.passages if addresses_a_model(passage.text)]
    details = {
        "template": prompt.version,
        "template_sha256": prompts.TEMPLATE_SHA256,
        "model": generator.name,
        "parameters": dict(generator.parameters),
        "retrieval": str(turn.asked.event_id),
        "chunks": [str(passage.chunk_id) for passage in prompt.passages],
        "addressing_a_model": len(addressing) or None,
        "read_as": {"by": "terms", "used": True} if turn.read_as else None,
    }
    payloads = {"question": turn.question, "system_prompt": prompt.system, "user_prompt": prompt.user}
    doc_ids = [passage.doc_id for passage in prompt.passages]
    return Event(
        Action.PROMPT_SUBMITTED,
        details={**turn.named, "prompt": without_nulls(details)},
        payloads=payloads,
        doc_ids=doc_ids,
    )


def sentence_event(turn: Turn, sentence: Sentence) -> Event:
    """Returns the record of a sentence that is shown while the answer is still being made."""
    return Event(
        Action.ANSWER_SHOWN,
        details={**turn.named, "citations": _cited(sentence.citations)},
        payloads={"sentence": sentence.text, "citations": _dumped(sentence.citations)},
        doc_ids=_documents(sentence.citations),
    )


def answer_event(
    turn: Turn, answer: Answer, generation: Generation, superseded: Sequence[SupersededVersion], milliseconds: int
) -> Event:
    """Returns the record of an answer, or refusal, that took so many milliseconds to make."""
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
    described = _described(turn.prompt, answer, generation, superseded)
    return Event(
        Action.ANSWER_REFUSED if refused else Action.ANSWER_RETURNED,
        Outcome.REFUSED if refused else Outcome.SUCCEEDED,
        generation.refusal,
        details={**turn.named, "answer": {**described, "milliseconds": milliseconds}},
        payloads=payloads,
        doc_ids=_documents(answer.citations),
    )


def abortion_event(turn: Turn, reason: str) -> Event:
    """Returns the record of a question that got no answer, or only the beginning of one."""
    return Event(Action.ANSWER_ABORTED, Outcome.ABORTED, reason, details=turn.named)


def _described(
    prompt: Prompt, answer: Answer, generation: Generation, superseded: Sequence[SupersededVersion]
) -> Mapping[str, object]:
    described = {
        "template": prompt.version,
        "model_requested": generation.model_requested,
        "model_served": generation.model_served,
        "parameters": dict(generation.parameters),
        "finish_reason": generation.finish_reason,
        "prompt_tokens": generation.usage.prompt_tokens,
        "completion_tokens": generation.usage.completion_tokens,
        "reasoning_tokens": generation.usage.reasoning_tokens,
        "citations": _cited(answer.citations),
        "support": [citation.support.value for citation in answer.citations] or None,
        "grounding": without_nulls(_grounding(generation)),
        "dropped_sentences": len(generation.dropped),
        "superseded": [{"doc_id": old.doc_id, "version": old.document_version} for old in superseded] or None,
    }
    return without_nulls(described)


def _grounding(generation: Generation) -> dict[str, object]:
    """Returns what the check found of each sentence, and why others were dropped; likeness is in millionths."""
    found = [_found(claim) for claim in generation.claims]
    reasons = Counter(reason.value for reason in generation.reasons)
    return {"version": GROUNDING_VERSION, "sentences": found or None, "dropped": dict(sorted(reasons.items())) or None}


def _found(claim: Claim) -> dict[str, object]:
    spans = [
        {"chunk": str(quote.passage.chunk_id), "start": quote.start, "end": quote.start + len(quote.text)}
        for quote in claim.quotes
    ]
    likeness = claim.verdict.likeness if claim.verdict else None
    found = {
        "support": claim.support.value,
        "evidence": spans,
        "likeness_micros": None if likeness is None else round(likeness * 1_000_000),
        "judge": claim.verdict.judge if claim.verdict else None,
    }
    return without_nulls(found)


def _cited(citations: Sequence[Citation]) -> list[str]:
    return list(dict.fromkeys(str(citation.chunk_id) for citation in citations))


def _documents(citations: Sequence[Citation]) -> list[str]:
    return [citation.doc_id for citation in citations]


def _dumped(citations: Sequence[Citation]) -> str:
    return _CITATIONS.dump_json(citations).decode()

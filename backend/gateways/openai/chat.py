"""Chat completions: an answer as the message and the chunks that OpenAI's clients read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backend.answers.models import AnswerResponse, Citation
from backend.answers.refusals import shown_text


@dataclass(frozen=True, slots=True)
class Chat:
    """A completion: its id, and the name of the model that was asked for."""

    id: str
    model: str
    created: int
    sources_in_text: bool

    def completion(self, response: AnswerResponse) -> dict[str, Any]:
        """Returns the completion, whole."""
        content = shown_text(response) + self._sources(response)
        message = {"role": "assistant", "content": content, "refusal": None, "annotations": annotations_of(response)}
        return {
            **self._head("chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(response), "logprobs": None}],
            "usage": usage_of(response),
            "metadata": metadata_of(response),
        }

    def role_chunk(self) -> dict[str, Any]:
        """Returns the first chunk of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def text_chunk(self, text: str) -> dict[str, Any]:
        """Returns a chunk with the next words."""
        return self._chunk({"content": text})

    def last_chunks(self, response: AnswerResponse, *, said: bool, with_usage: bool) -> Iterator[dict[str, Any]]:
        """Yields what comes behind the sentences; `said` tells whether any were sent, which a refusal has none of."""
        text = shown_text(response)
        rest = (text.removeprefix(response.answer) if said else text) + self._sources(response)
        if rest:
            yield self.text_chunk(rest)
        if response.citations:
            yield self._chunk({"annotations": annotations_of(response)})
        yield {**self._chunk({}, finish_reason(response)), "metadata": metadata_of(response)}
        if with_usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(response)}

    def _sources(self, response: AnswerResponse) -> str:
        if not self.sources_in_text or not response.citations:
            return ""
        numbered = {citation.number: citation for citation in response.citations}
        return "\n\nSources:\n" + "\n".join(source_line(citation) for citation in numbered.values())

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.model,
            "system_fingerprint": None, "service_tier": None,
        }  # fmt: skip


def finish_reason(response: AnswerResponse) -> str:
    """Returns `stop` also for a refusal: for anything else clients raise an error, or show nothing."""
    return "length" if response.cut == "length" else "stop"


def source_line(citation: Citation) -> str:
    """Returns a line of the block of sources."""
    page = f", page {citation.page_name}" if citation.page_name else ""
    return f"[{citation.number}] {citation.doc_id}, version {citation.document_version}{page}: {citation.link}"


def annotations_of(response: AnswerResponse) -> list[dict[str, Any]]:
    """Returns what clients show as citations; the keys that OpenAI does not know survive in every client."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation.link, "title": title_of(citation), "start_index": citation.start, "end_index": citation.end,
                **evidence_of(citation),
            },
        }
        for citation in response.citations
    ]  # fmt: skip


def title_of(citation: Citation) -> str:
    """Returns the name under which clients list a source."""
    return f"{citation.doc_id}, version {citation.document_version}"


def evidence_of(citation: Citation) -> dict[str, Any]:
    """Returns what else a citation says, for clients that pass on what they do not know."""
    return {
        "number": citation.number, "quote": citation.quote, "doc_id": citation.doc_id,
        "document_version": citation.document_version, "chunk_id": str(citation.chunk_id),
        "page": citation.page_start, "page_label": citation.page_label, "support": citation.support,
        "recognition_confidence": citation.recognition_confidence,
    }  # fmt: skip


def metadata_of(response: AnswerResponse) -> dict[str, str]:
    """Returns what a program wants to know about the answer: whether it is a refusal and why, and its record."""
    told = {
        "refused": str(response.refused).lower(),
        "audit_event_id": str(response.audit_event_id),
        "turn": str(response.turn),
    }
    return {**told, "reason": response.reason} if response.reason else told


def usage_of(response: AnswerResponse) -> dict[str, Any]:
    """Returns token counts; all zero where the built-in generator answered, which has none."""
    used = response.usage
    prompt = (used and used.prompt_tokens) or 0
    completion = (used and used.completion_tokens) or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

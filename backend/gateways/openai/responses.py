"""Responses: an answer as the items and events of OpenAI's newer API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from backend.answers.models import AnswerResponse, Citation
from backend.answers.refusals import shown_text
from backend.gateways.openai.chat import evidence_of, metadata_of, title_of, usage_of
from backend.gateways.openai.found import found_file
from backend.gateways.openai.ids import file_id, spelled
from backend.retrieval.stages import Hit

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OpenResponse:
    """A response before and while it is made. With `searches` it cites files, and otherwise addresses; never both."""

    turn: UUID
    model: str
    created: int
    question: str
    searches: bool
    tools: list[dict[str, Any]] = field(default_factory=list)
    with_results: bool = False
    previous: str | None = None
    _found: list[Hit] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def whole(self, response: AnswerResponse) -> dict[str, Any]:
        """Returns the response once it is complete."""
        search = [self._search("completed")] if self.searches else []
        used = usage_of(response)
        usage = {
            "input_tokens": used["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": used["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used["total_tokens"],
        }
        return {
            **self._begun(), "status": "completed", "output": [*search, self._message(response)], "usage": usage,
            "metadata": metadata_of(response),
        }  # fmt: skip

    def finds(self, hits: Sequence[Hit]) -> None:
        """Takes what the search found, which is on record by now."""
        self._found.extend(hits)

    def first_events(self) -> Iterator[Event]:
        """Yields what comes before the text, in the order in which OpenAI sends it."""
        yield self._event("response.created", response=self._begun())
        yield self._event("response.in_progress", response=self._begun())
        if self.searches:
            item_id = self._search("in_progress")["id"]
            yield self._event("response.output_item.added", output_index=0, item=self._search("in_progress"))
            for step in ("in_progress", "searching"):
                yield self._event(f"response.file_search_call.{step}", item_id=item_id, output_index=0)

    def opening_events(self) -> Iterator[Event]:
        """Yields the end of the search and the beginning of the message, when the first words are there."""
        if self.searches:
            search = self._search("completed")
            yield self._event("response.file_search_call.completed", item_id=search["id"], output_index=0)
            yield self._event("response.output_item.done", output_index=0, item=search)
        yield self._event("response.output_item.added", output_index=self._index, item=self._message(None))
        yield self._event("response.content_part.added", **self._place(), part=part_of("", []))

    def text_event(self, text: str) -> Event:
        """Returns the event with the next words."""
        return self._event("response.output_text.delta", **self._place(), delta=text, logprobs=[])

    def last_events(self, response: AnswerResponse) -> Iterator[Event]:
        """Yields what comes behind the text."""
        annotations, text, place = self._annotations(response), shown_text(response), self._place()
        for n, annotation in enumerate(annotations):
            yield self._event(
                "response.output_text.annotation.added", **place, annotation_index=n, annotation=annotation
            )
        yield self._event("response.output_text.done", **place, text=text, logprobs=[])
        yield self._event("response.content_part.done", **place, part=part_of(text, annotations))
        yield self._event("response.output_item.done", output_index=self._index, item=self._message(response))
        yield self._event("response.completed", response=self.whole(response))

    def error_event(self, error: dict[str, Any]) -> Event:
        """Returns the event with which a stream ends that failed: some clients look for `error`, others beside it."""
        told = {name: error[name] for name in ("code", "message", "param")}
        return self._event("error", **told, error=error)

    @property
    def _index(self) -> int:
        return 1 if self.searches else 0

    def _event(self, kind: str, **members: Any) -> Event:  # noqa: ANN401 - members of JSON
        return {"type": kind, "sequence_number": next(self._numbers), **members}

    def _place(self) -> dict[str, Any]:
        return {"item_id": spelled("msg_", self.turn), "output_index": self._index, "content_index": 0}

    def _begun(self) -> dict[str, Any]:
        return {
            "id": spelled("resp_", self.turn), "object": "response", "created_at": self.created, "status": "in_progress",
            "model": self.model, "output": [], "usage": None, "metadata": {}, "error": None, "incomplete_details": None,
            "instructions": None, "parallel_tool_calls": False, "temperature": None, "top_p": None, "tool_choice": "auto",
            "tools": self.tools, "previous_response_id": self.previous, "text": {"format": {"type": "text"}},
            "truncation": "disabled", "background": False, "max_output_tokens": None, "reasoning": None, "store": True,
            "service_tier": "default", "user": None,
        }  # fmt: skip

    def _search(self, status: str) -> dict[str, Any]:
        shown = self.with_results and status == "completed"
        return {
            "id": spelled("fs_", self.turn), "type": "file_search_call", "status": status, "queries": [self.question],
            "results": [{**found_file(hit), "text": hit.text} for hit in self._found] if shown else None,
        }  # fmt: skip

    def _message(self, response: AnswerResponse | None) -> dict[str, Any]:
        content = [part_of(shown_text(response), self._annotations(response))] if response else []
        return {
            "id": spelled("msg_", self.turn), "type": "message", "role": "assistant",
            "status": "completed" if response else "in_progress", "content": content,
        }  # fmt: skip

    def _annotations(self, response: AnswerResponse) -> list[dict[str, Any]]:
        return [self._annotation(citation) for citation in response.citations]

    def _annotation(self, citation: Citation) -> dict[str, Any]:
        if self.searches:
            file = file_id(citation.document_id, citation.document_version)
            return {
                "type": "file_citation", "file_id": file, "filename": citation.doc_id, "index": citation.end,
                "url": citation.link, **evidence_of(citation),
            }  # fmt: skip
        return {
            "type": "url_citation", "url": citation.link, "title": title_of(citation), "start_index": citation.start,
            "end_index": citation.end, **evidence_of(citation),
        }  # fmt: skip


def part_of(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the one part of a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}

"""The text of an answer and its citations: numbered from 1 in order of appearance, each with the place of claim and quote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from backend.answers.display import displayed
from backend.answers.generator import Claim, Quote
from backend.answers.models import Citation


@dataclass(frozen=True, slots=True)
class Sentence:
    """A claim as it is shown: `text` is what it adds to the answer, markers included."""

    text: str
    citations: tuple[Citation, ...]


class Answer:
    """An answer that grows sentence by sentence."""

    def __init__(self, public_url: str) -> None:
        """Links its citations to pages below `public_url`."""
        self._public_url = public_url
        self.text = ""
        self.citations: list[Citation] = []

    def add(self, claim: Claim) -> Sentence:
        """Appends the claim, and returns what it adds."""
        gap = " " if self.text else ""
        start = len(self.text) + len(gap)
        shown = displayed(claim.sentence)
        first = len(self.citations) + 1
        quotes = list(dict.fromkeys(claim.quotes))
        citations = tuple(
            self._citation(number, quote, claim, (start, start + len(shown)))
            for number, quote in enumerate(quotes, first)
        )
        sentence = Sentence(f"{gap}{shown} {''.join(f'[{cited.number}]' for cited in citations)}", citations)
        self.text += sentence.text
        self.citations += citations
        return sentence

    def _citation(self, number: int, quote: Quote, claim: Claim, place: tuple[int, int]) -> Citation:
        passage = quote.passage
        char_start, char_end = _in_document(quote)
        return Citation(
            **passage.span.model_dump() | {"char_start": char_start, "char_end": char_end},
            number=number, start=place[0], end=place[1], support=claim.support,
            document_id=passage.document_id, doc_id=passage.doc_id, document_version=passage.document_version,
            chunk_id=passage.chunk_id, quote=displayed(quote.text),
            quote_start=quote.start, quote_end=quote.start + len(quote.text),
            link=self._public_url + page_of(quote),
        )  # fmt: skip


def page_of(quote: Quote) -> str:
    """Returns the path of the console's page that opens the version at the quoted words, for whoever is signed in."""
    passage = quote.passage
    place = urlencode({"chunk": passage.chunk_id, "start": quote.start, "end": quote.start + len(quote.text)})
    return f"/console/documents/{passage.document_id}/versions/{passage.document_version}?{place}#cited"


def changed_quotes(claims: Sequence[Claim]) -> Iterator[str]:
    """Yields the quotes, byte for byte, that are not shown as they stand in their document."""
    quotes = dict.fromkeys(quote.text for claim in claims for quote in claim.quotes)
    return (text for text in quotes if displayed(text) != " ".join(text.split()))


def _in_document(quote: Quote) -> tuple[int | None, int | None]:
    """Returns where the quote stands in the document's text; only the chunk's place, when a header was put before its text."""
    span = quote.passage.span
    if span.char_start is None or span.char_end is None or span.char_end - span.char_start != len(quote.passage.text):
        return span.char_start, span.char_end
    first = span.char_start + quote.start
    return first, first + len(quote.text)

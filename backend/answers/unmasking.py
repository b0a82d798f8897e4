"""Puts personal data back into what a generator said of passages and of a question that had pseudonyms in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backend.answers.generator import Claim, Generation, Prompt, Quote
from backend.personal_data.pseudonyms import counts, put_back, values_in
from backend.retrieval.stages import Asked


@dataclass(frozen=True, slots=True)
class Unmasking:
    """What stands behind the pseudonyms of one prompt: only of what its caller asked and may read."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, asked: Asked) -> "Unmasking":
        """Returns it for what a prompt is made of."""
        values: dict[str, str] = {}
        for hit in asked.hits:
            values.update(hit.masked.values if hit.masked else {})
        values.update(asked.question.discretion.values)  # as it was asked, where it was
        return cls(values)

    def claim(self, claim: Claim) -> Claim:
        """Returns a claim with the words of the documents: what it says, and what it quotes where it stands there."""
        if not self.values:
            return claim
        quotes = tuple(map(_original, claim.quotes))
        return replace(claim, sentence=put_back(claim.sentence, self.values), quotes=quotes)

    def generation(self, generation: Generation) -> Generation:
        """Returns a finished answer with its claims as they are to be shown; what the model wrote stays as it is."""
        return replace(generation, claims=tuple(map(self.claim, generation.claims)))


def masked_in(prompt: Prompt, asked: Asked) -> dict[str, int]:
    """Returns how many values of each kind have a pseudonym in a prompt."""
    masked = [asked.question.discretion.masked, *(passage.masked for passage in prompt.passages)]
    return counts(value for known in masked if known for value in values_in(known.findings))


def _original(quote: Quote) -> Quote:
    known = quote.passage.masked
    if known is None:
        return quote
    start = quote.start
    first, last = known.original_span(start, start + len(quote.text))
    return Quote(replace(quote.passage, text=known.original, masked=None), known.original[first:last])

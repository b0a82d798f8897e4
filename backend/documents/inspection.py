"""Looks for personal data in what is to be ingested, and does what its collection wants done about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from anyio import to_thread

from backend.documents.chunks.vectors import headed
from backend.documents.tables import ChunkSpan
from backend.personal_data.detection import Occurrence
from backend.personal_data.policy import Policy
from backend.personal_data.pseudonyms import Pseudonyms, counts, values_in


@dataclass(frozen=True, slots=True)
class Inspected:
    """A text as search is to know it, and the personal data that was found in it."""

    searched: str
    findings: Sequence[Occurrence]


async def inspect(pseudonyms: Pseudonyms, texts: Sequence[str], policies: Sequence[Policy]) -> list[Inspected]:
    """Returns each text with pseudonyms where its collection wants them, in a thread of its own."""
    return await to_thread.run_sync(
        lambda: [_inspected(pseudonyms, text, policy) for text, policy in zip(texts, policies, strict=True)]
    )


async def titles(
    pseudonyms: Pseudonyms, given: Sequence[str | None], spans: Sequence[ChunkSpan], policies: Sequence[Policy]
) -> list[str]:
    """Returns what each text is embedded under; headings have pseudonyms where its collection wants them, as its text has."""
    return await to_thread.run_sync(
        lambda: [
            headed(
                title, [_inspected(pseudonyms, heading, policy).searched for heading in (span.heading_path or ())[-1:]]
            )
            for title, span, policy in zip(given, spans, policies, strict=True)
        ]
    )


def found_in(inspected: Sequence[Inspected]) -> dict[str, int]:
    """Returns how many different values of each kind several texts hold."""
    return counts(values_in(chain.from_iterable(text.findings for text in inspected)))


def refused(inspected: Sequence[Inspected], policies: Sequence[Policy]) -> dict[str, int]:
    """Returns what was found of each kind where a collection takes none."""
    return found_in(
        [text for text, policy in zip(inspected, policies, strict=True) if policy is Policy.REFUSE and text.findings]
    )


def added(before: Mapping[str, int], found: Mapping[str, int]) -> dict[str, int]:
    """Returns what a version holds of each kind, with what was found in texts that were added to it."""
    return dict(sorted((Counter(before) + Counter(found)).items()))


def told(found: Mapping[str, int]) -> str:
    """Returns how many values of each kind were found, in words for people."""
    return ", ".join(f"{number} of kind {kind}" for kind, number in found.items())


def _inspected(pseudonyms: Pseudonyms, text: str, policy: Policy) -> Inspected:
    given = pseudonyms.given(text)
    return Inspected(given.text if policy is Policy.MASK else text, given.findings)

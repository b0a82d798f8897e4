"""The years and quarters that a document is about, and that a question asks about.

Reports of one company differ in little but their year, and the figures of every year stand in several of them. So a document
has terms for its periods beside those of its text, and a question that names one prefers what is about it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_YEAR = re.compile(r"(?<!\d)(?:fy)?((?:19|20)\d\d)(?!\d)", re.IGNORECASE)
# FY23, 2Q23 and Q2'23, 1H23 and H1 '23
_SHORT_FISCAL_YEAR = re.compile(
    r"\b(?:fy\s?['\u2019]?|[1-4][qh]['\u2019]?|[qh][1-4]\s?['\u2019])(\d\d)(?!\d)", re.IGNORECASE
)
# What a report says of itself where it begins: "For the fiscal year ended December 31, 2018".
_ENDED = re.compile(
    r"\b(?:year|quarter|quarterly\s+period|period|months)\s+end(?:ed|ing)\s*:?\s+[\w\s.,]{0,24}?\b((?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_BEGINNING = 4_000  # characters within which a report says what it is
_METADATA = ("fiscal_year", "year", "period", "reporting_period", "period_end")
_MOST = 4


def asked_periods(question: str) -> tuple[str, ...]:
    """Returns the terms of the years that a question names."""
    return _terms(_years(question))


def document_periods(names: Sequence[str], metadata: Mapping[str, Any], beginning: str) -> tuple[str, ...]:
    """Returns the terms of what a document is about, by its metadata, by how it begins, or by its names.

    A year in a name may be that of publication, so it counts only where nothing better is known; but a file that is named after
    its year, as in BESTBUY_2024Q2_10Q, is about it whatever else it says.
    """
    stated = [year for key in _METADATA for year in _years(str(metadata.get(key, "")))]
    stated += _ENDED.findall(beginning[:_BEGINNING])[:1]
    first, *others = names or [""]
    stated += _years(first)
    return _terms(stated or [year for name in others for year in _years(name)])


def _years(text: str) -> Iterator[str]:
    yield from _YEAR.findall(text)
    yield from (f"20{year}" for year in _SHORT_FISCAL_YEAR.findall(text))


def _terms(years: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    # A colon is in no term of a text, so that these are never taken for one.
    return tuple(f"period:{year}" for year in list(dict.fromkeys(years))[:_MOST])

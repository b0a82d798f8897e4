"""What is found in texts: measured on generated ones, and on real filings, which have next to nothing of it."""

import json
import time
from collections import Counter

import pytest

from backend.personal_data.detection import find
from backend.personal_data.kinds import PersonalKind
from tests.conftest import SHARED_DATA
from tests.personal_data.generated import samples

FILINGS = SHARED_DATA / "financebench/documents.jsonl"


def test_of_generated_values_of_every_kind_99_in_100_are_found_where_they_stand() -> None:
    found, asked = Counter[PersonalKind](), Counter[PersonalKind]()
    for sample in samples(seed=7, of_each=300):
        asked[sample.kind] += 1
        found[sample.kind] += any(
            finding.kind is sample.kind and sample.text[finding.start : finding.end] == sample.written
            for finding in find(sample.text)
        )
    assert set(asked) == set(PersonalKind)
    recall = {kind.value: found[kind] / asked[kind] for kind in PersonalKind}
    assert all(share >= 0.99 for share in recall.values()), recall


@pytest.mark.skipif(not FILINGS.exists(), reason="the filings are not here")
def test_filings_hold_less_than_one_finding_in_ten_thousand_words_and_only_contacts() -> None:
    words, found = 0, Counter[PersonalKind]()
    for line in FILINGS.read_text(encoding="utf-8").splitlines()[::6]:
        text = json.loads(line)["text"]
        words += len(text.split())
        found.update(finding.kind for finding in find(text))
    assert found.total() <= words / 10_000, found
    assert set(found) <= {PersonalKind.EMAIL, PersonalKind.PHONE}  # of people and offices to whom readers may turn


@pytest.mark.parametrize(
    "text",
    [
        "Revenue was 4,111,111 and 1,111,111 in 2024 and 2025.",
        "Commission file number 001-35551; I.R.S. employer no. 13-2624428.",
        "Section 1005.11(c)(2)(i) applies, see 12 CFR 1005.",
        "4111 1111 1111 1112",  # no Luhn digit
        "DE89370400440532013001",
        "000-12-3456 and 666-12-3456 and 123-00-4567",  # areas and groups that are never given
        "12345678A",
        "36 574 261 808",
        "The DIVIDEND was DEUTDEFF.",  # a bank's code without saying so
        "version 2.0.1.15, build 20260815123456",
        "a@b",
        "sha256 4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
        "01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e",
    ],
)
def test_what_is_none_is_not_taken_for_it(text: str) -> None:
    assert [finding.kind for finding in find(text)] == []


def test_of_two_that_stand_side_by_side_both_are_found() -> None:
    text = "DE89 3704 0044 0532 0130 00 GB29NWBK60161331926819 4111111111111111 4012888888881881 a@example.com,b@example.com"
    assert [finding.kind for finding in find(text)] == [
        PersonalKind.IBAN,
        PersonalKind.IBAN,
        PersonalKind.CARD,
        PersonalKind.CARD,
        PersonalKind.EMAIL,
        PersonalKind.EMAIL,
    ]


def test_a_value_is_the_same_however_it_is_written() -> None:
    text = "DE89370400440532013000 de89 3704 0044 0532 0130 00 Jane@Example.com jane@example.com"
    assert len({(finding.kind, finding.value) for finding in find(text)}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "1" * 40_000,
        "1 " * 20_000,
        "(1)" * 12_000,
        "a." * 20_000 + "@",
        "DE11" * 10_000,
        "+1" * 20_000,
        "tel " * 10_000,
        "a@example.com " * 5_000,
    ],
)
def test_a_hostile_text_takes_no_longer_than_its_length_explains(text: str) -> None:
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 5

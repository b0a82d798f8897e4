"""Pseudonyms in the place of personal data, and the way back."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backend.personal_data.policy import Policy, strictest
from backend.personal_data.pseudonyms import PseudonymKeys, Pseudonyms, counts, put_back, values_in
from tests.personal_data.generated import samples

NAMES = Pseudonyms(b"a key of these tests")
VALUES = [sample.text for sample in samples(seed=3, of_each=3)]
TEXTS = st.lists(st.one_of(st.sampled_from(VALUES), st.text(max_size=30)), max_size=6).map("\n".join)


@given(TEXTS)
def test_what_is_put_back_is_what_was_there(text: str) -> None:
    named = NAMES.given(text)
    spelled_alike = len({finding.value for finding in named.findings}) == len(named.findings)
    if spelled_alike:
        assert put_back(named.text, named.values) == text
    assert put_back(named.text, {}) == named.text
    for finding in named.findings:
        assert text[finding.start : finding.end] in named.values.values() or not spelled_alike


@given(TEXTS, st.data())
def test_a_part_of_the_text_is_found_in_the_original_with_whole_values(text: str, data: st.DataObject) -> None:
    named = NAMES.given(text)
    start = data.draw(st.integers(0, len(named.text)))
    end = data.draw(st.integers(start, len(named.text)))
    first, last = named.original_span(start, end)
    part = named.text[start:end]
    if first <= last and "[" not in part and "]" not in part and not any(part in name for name in named.pseudonyms):
        assert named.original[first:last] == part
    for finding in named.findings:
        inside = (finding.start < first < finding.end) or (finding.start < last < finding.end)
        assert not inside  # a value is never cut


def test_a_value_has_one_pseudonym_in_one_tenant_and_another_elsewhere() -> None:
    keys, tenant, other = PseudonymKeys("a secret"), UUID(int=1), UUID(int=2)
    text = "DE89370400440532013000"
    known = keys.of_tenant(tenant).given(text).text
    assert keys.of_tenant(tenant).given("de89 3704 0044 0532 0130 00").text == known
    assert keys.of_tenant(other).given(text).text != known
    assert PseudonymKeys("another").of_tenant(tenant).given(text).text != known
    assert "3704" not in known
    assert known.startswith("[IBAN-")


def test_a_pseudonym_holds_nothing_that_is_taken_for_personal_data() -> None:
    for text in VALUES:
        assert not NAMES.given(NAMES.given(text).text).findings


def test_only_kinds_and_counts_are_told() -> None:
    text = "jane@example.com JANE@example.com joe@example.com DE89370400440532013000"
    assert counts(values_in(NAMES.given(text).findings)) == {"email": 2, "iban": 1}


def test_the_strictest_policy_decides() -> None:
    assert strictest([]) is Policy.TELL
    assert strictest([Policy.MASK, Policy.TELL]) is Policy.MASK
    assert strictest([Policy.TELL, Policy.REFUSE, Policy.MASK]) is Policy.REFUSE

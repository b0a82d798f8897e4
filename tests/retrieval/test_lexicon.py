import math
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.retrieval import lexicon
from backend.retrieval.lexicon import dimension, passage_vector, query_terms, query_vector, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Unauthorised transfers", ["unauthoris", "transfer"]),
        ("RULE Straße", ["rule", "strass"]),
        ("Rule 4.2.1", ["rule", "4.2.1", "4.2", "4"]),
        ("Rule 4.2.1(a)", ["rule", "4.2.1(a)", "4.2.1", "4.2", "4"]),
        ("Rule 4.2.1.(2)(b).", ["rule", "4.2.1(2)(b)", "4.2.1(2)", "4.2.1", "4.2", "4"]),
        ("§ 1005.11(b)(1)", ["1005.11(b)(1)", "1005.11(b)", "1005.11", "1005"]),
        ("401(k) plan", ["401(k)", "401", "plan"]),
        ("part 1005.", ["part", "1005"]),
        ("$1,500.00", ["1500"]),
        ("$1,500", ["1500"]),
        ("USD 1500.00", ["usd", "1500"]),
        ("2,345,678.90", ["2345678.90"]),
        ("12.50", ["12.50", "12"]),
        ("4.5%", ["4.5", "4", "percent", "450bp"]),
        ("5 percent", ["5", "percent", "500bp"]),
        ("2016-11-14", ["20161114", "2016", "11", "14", "201611"]),
        ("November 14, 2016", ["novemb", "14", "2016", "20161114", "201611"]),
        ("fiscal 2018, 2019", ["fiscal", "2018", "2019"]),
        ("non-compliance", ["noncompli", "non", "complianc"]),
        ("Form 10-K", ["form", "10k", "10", "k"]),
        ("FIN-2021-A001", ["fin2021a001", "fin", "2021", "a001"]),
        ("U.S.C. and U.S. law", ["usc", "us", "law"]),
        ("the bank's fees", ["bank", "fee"]),
        ("the bank’s fees", ["bank", "fee"]),
        ("cre\u00addit\u200b line", ["credit", "line"]),
        ("ﬁnance ＡＰＲ", ["financ", "apr"]),
        ("信用卡年费", ["信用", "用卡", "卡年", "年费"]),
        ("手数料は3千円", ["手数", "数料", "料は", "3", "千円"]),
        ("What must I do?", []),
        ("I don’t, you may not", ["may", "not"]),
        ("— … ()", []),
        ("", []),
    ],
)
def test_text_becomes_these_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_words_are_stemmed_in_the_language_asked_for() -> None:
    assert terms("Überweisungen an die Bank", language="german") == ["uberweis", "an", "die", "bank"]


@pytest.mark.parametrize("question", ["4.2.1(a)", "4.2.1", "4.2"])
def test_a_section_is_found_by_its_own_number_and_by_its_parents(question: str) -> None:
    assert dimension(question) in passage_vector("See Rule 4.2.1(a) for fees.")


def test_a_question_about_a_section_prefers_the_section_to_its_parent() -> None:
    frequencies = dict.fromkeys(query_terms("4.2.1(a)"), 1)
    question = query_vector("4.2.1(a)", frequencies, documents=10)

    assert _inner(question, passage_vector("Rule 4.2.1(a)")) > _inner(question, passage_vector("Rule 4.2.1"))


def test_a_section_that_is_named_weighs_much_even_where_nothing_is_rare() -> None:
    frequencies = dict.fromkeys(query_terms("4.2.1(a) 12.50 bank"), 1)
    question = query_vector("4.2.1(a) 12.50 bank", frequencies, documents=3)

    assert question[dimension("4.2.1(a)")] == lexicon.REFERENCE_IDF
    assert max(question[dimension(term)] for term in ("4.2.1", "4.2", "12.50", "bank")) < 2


def test_dimensions_never_change_because_they_are_stored() -> None:
    assert dimension("fee") == zlib.crc32(b"fee") % 10**9 == 521_392_309


def test_weights_never_change_because_they_are_stored() -> None:
    vector = passage_vector("late fee and another fee")

    assert {term: round(vector[dimension(term)], 4) for term in ("late", "fee")} == {"late": 1.5203, "fee": 1.6484}


@given(st.text())
def test_a_vector_fits_the_database_whatever_the_text(text: str) -> None:
    vector = passage_vector(text)

    assert len(vector) <= 1_000
    assert all(0 <= index < 1_000_000_000 for index in vector)
    assert all(0 < weight < 1 + lexicon.K1 for weight in vector.values())


@pytest.mark.parametrize("unit", ["1.", "111,", "a.", "a-", "a'", "1(a)", "1.1(a)(b)", "y", "İ", "(", "ing"])
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    started = time.process_time()
    passage_vector(unit * (60_000 // len(unit)))

    assert time.process_time() - started < 3


def test_a_passage_with_too_many_terms_keeps_the_heaviest() -> None:
    rare = " ".join(f"term{number}" for number in range(2_000))
    vector = passage_vector(rare + " fee" * 5)

    assert len(vector) == 1_000
    assert dimension("fee") in vector


def test_the_inner_product_of_question_and_passage_is_bm25() -> None:
    passages = ["fee fee card", "card limit", "loan rate cap rate", "branch hours"]
    question = "card fee"
    frequencies = {dimension("card"): 2, dimension("fee"): 1}
    vector = query_vector(question, frequencies, documents=4)

    scores = [_inner(vector, passage_vector(passage)) for passage in passages]

    def weight(count: int, length: int) -> float:
        k1, b, average = lexicon.K1, lexicon.B, lexicon.AVERAGE_LENGTH
        return count * (k1 + 1) / (count + k1 * (1 - b + b * length / average))

    card, fee = math.log(1 + 2.5 / 2.5), math.log(1 + 3.5 / 1.5)
    assert scores == pytest.approx([fee * weight(2, 3) + card * weight(1, 3), card * weight(1, 2), 0, 0])


def test_a_longer_passage_with_the_same_word_scores_less() -> None:
    short, long = passage_vector("late fee"), passage_vector("late fee" + " and other words" * 50)

    assert short[dimension("fee")] > long[dimension("fee")]


def test_terms_that_no_passage_has_are_left_out_of_the_question() -> None:
    assert query_vector("fee unicorn", {dimension("fee"): 3}, documents=9).keys() == {dimension("fee")}


def test_the_rarest_terms_are_those_that_few_passages_have_all_together() -> None:
    frequencies = {1: 50, 2: 5, 3: 20, 4: 5}

    assert lexicon.rarest(frequencies, 30) == [2, 4, 3]
    assert lexicon.rarest(frequencies, 29) == [2, 4]
    assert lexicon.rarest(frequencies, 4) == []


def test_a_term_of_every_passage_still_weighs_more_than_nothing() -> None:
    vector = query_vector("bank", {dimension("bank"): 12}, documents=10)

    assert 0 < vector[dimension("bank")] < 0.1


def _inner(left: dict[int, float], right: dict[int, float]) -> float:
    return sum(weight * right.get(index, 0.0) for index, weight in left.items())

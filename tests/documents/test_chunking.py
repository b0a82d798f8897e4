"""Chunks keep to their size, follow the structure of the document and cover all of it."""

import math
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.documents.chunks.chunking import Chunk, Chunker, ChunkSize, CountTokens
from backend.documents.parsing.blocks import Block, BlockKind, Fragment, clean
from backend.documents.parsing.sentences import sentences
from tests.documents.cutting import chunks_of

H, P, L = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST_ITEM
TH, TR = BlockKind.TABLE_HEADER, BlockKind.TABLE_ROW


def words(texts: Sequence[str]) -> list[int]:
    """Count words: the tokens of parts add up."""
    return [len(text.split()) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    """Count quads of characters, rounded up: the whole has fewer tokens than its parts."""
    return [math.ceil(len(text) / 4) for text in texts]


def whole_quads(texts: Sequence[str]) -> list[int]:
    """Count quads of characters, rounded down: the whole has more tokens than its parts."""
    return [len(text) // 4 for text in texts]


def document(fragments: Sequence[Fragment]) -> list[Block]:
    blocks = []
    start = 0
    for fragment in fragments:
        text = clean(fragment.text)
        if text:
            blocks.append(Block(fragment.kind, text, start, fragment.level, fragment.page, fragment.sheet))
            start = blocks[-1].end + 1
    return blocks


def cut(fragments: Sequence[Fragment], target: int = 20, limit: int = 30, overlap: int = 0) -> list[Chunk]:
    return list(chunks_of(document(fragments), words, ChunkSize(target, limit, overlap)))


def sentence(number: int, length: int = 8) -> str:
    return " ".join([f"Sentence{number}", *["word"] * (length - 2), "end."])


_texts = st.text(st.sampled_from("ab.!?\nA 1é。\t—"), min_size=1, max_size=400)
_kinds = st.sampled_from([(H, 1), (H, 2), (P, 0), (P, 0), (L, 0), (TH, 0), (TR, 0), (TR, 0)])
_steps = st.sampled_from([0, 0, 0, 1])
_sizes = st.builds(
    lambda target, room, overlap: ChunkSize(target, target + room, min(overlap, target // 2)),
    st.integers(16, 60),
    st.integers(0, 40),
    st.integers(0, 30),
)
_counters = st.sampled_from([words, characters, whole_quads])


@st.composite
def _documents(draw: st.DrawFn) -> list[Block]:
    fragments = []
    page = 1
    for (kind, level), text, step in draw(st.lists(st.tuples(_kinds, _texts, _steps), max_size=25)):
        page += step
        fragments.append(Fragment(kind, text, level, page))
    return document(fragments)


@settings(max_examples=300, deadline=None)
@given(_documents(), _counters, _sizes)
def test_chunks_cover_every_character_point_into_the_text_and_keep_to_the_limit(
    blocks: list[Block], count: CountTokens, size: ChunkSize
) -> None:
    chunks = list(chunks_of(blocks, count, size))
    text = "\n".join(block.text for block in blocks)
    covered: set[int] = set()
    for ordinal, chunk in enumerate(chunks):
        covered.update(range(chunk.char_start, chunk.char_end))
        passage = text[chunk.char_start : chunk.char_end]
        assert chunk.text == passage or chunk.text.endswith("\n" + passage)
        assert [chunk.token_count] == count([chunk.text])
        assert chunk.token_count <= size.limit
        assert chunk.ordinal == ordinal
    assert all(position in covered or text[position].isspace() for position in range(len(text)))
    assert chunks == list(chunks_of(blocks, count, size))


@settings(max_examples=200, deadline=None)
@given(_documents(), _counters, _sizes)
def test_a_sentence_or_row_within_the_limit_is_never_split(
    blocks: list[Block], count: CountTokens, size: ChunkSize
) -> None:
    chunks = list(chunks_of(blocks, count, size))
    for block in blocks:
        for start, text in sentences(block):
            if count([text])[0] <= size.limit:
                end = start + len(text)
                assert any(chunk.char_start <= start and end <= chunk.char_end for chunk in chunks)


@settings(max_examples=200, deadline=None)
@given(_documents(), _counters, _sizes)
def test_pages_of_a_chunk_are_the_pages_of_its_text(blocks: list[Block], count: CountTokens, size: ChunkSize) -> None:
    for chunk in chunks_of(blocks, count, size):
        pages = [b.page for b in blocks if b.start < chunk.char_end and chunk.char_start < b.end]
        assert (chunk.page_start, chunk.page_end) == (pages[0], pages[-1])


@settings(max_examples=200, deadline=None)
@given(_documents(), _sizes)
def test_pages_are_crossed_only_by_what_is_tiny(blocks: list[Block], size: ChunkSize) -> None:
    for chunk in chunks_of(blocks, words, size):
        if chunk.page_start != chunk.page_end:
            before = [b for b in blocks if b.start < chunk.char_end and chunk.char_start < b.end]
            before = [b for b in before if b.page != chunk.page_end]
            text = "\n".join(b.text[max(chunk.char_start - b.start, 0) :] for b in before)
            assert words([text])[0] < size.target // 6


def test_sentences_fill_a_chunk_up_to_the_target() -> None:
    chunks = cut([Fragment(P, " ".join(map(sentence, range(5))))])
    assert [chunk.token_count for chunk in chunks] == [16, 16, 8]


def test_the_last_sentences_of_a_full_chunk_are_repeated_within_the_overlap() -> None:
    chunks = cut([Fragment(P, " ".join(map(sentence, range(5))))], overlap=9)
    starts = [[word for word in chunk.text.split() if word.startswith("Sentence")] for chunk in chunks]
    assert starts == [[f"Sentence{n}", f"Sentence{n + 1}"] for n in range(4)]


def test_nothing_is_repeated_across_a_page_or_a_heading() -> None:
    first = " ".join(map(sentence, range(2)))
    chunks = cut([Fragment(P, first, page=1), Fragment(P, sentence(2, 18), page=2)], overlap=9)
    assert [chunk.text for chunk in chunks] == [first, sentence(2, 18)]


def test_what_was_repeated_is_not_written_twice_when_the_rest_joins_the_chunk_before() -> None:
    text = " ".join(sentence(number, 4) for number in range(16))
    assert [chunk.text for chunk in cut([Fragment(P, text)], target=60, limit=70, overlap=5)] == [text]


def test_nothing_of_the_page_before_is_repeated() -> None:
    page_1 = [Fragment(P, "One.", page=1), Fragment(P, "Two.", page=1)]
    chunks = cut([*page_1, Fragment(P, "Third sentence. " + sentence(4, 17), page=2)], overlap=9)
    assert [chunk.text.split()[0] for chunk in chunks] == ["One.", "Third"]


def test_a_sentence_above_the_target_but_within_the_limit_stays_whole() -> None:
    assert [chunk.token_count for chunk in cut([Fragment(P, sentence(0, 29))])] == [29]


def test_a_sentence_above_the_limit_is_halved_at_white_space() -> None:
    chunks = cut([Fragment(P, sentence(0, 70))])
    assert all(chunk.token_count <= 30 for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == sentence(0, 70)


def test_a_word_above_the_limit_is_cut_anywhere() -> None:
    blocks = document([Fragment(P, "x" * 1_000)])
    chunks = list(chunks_of(blocks, characters, ChunkSize(20, 30)))
    assert "".join(chunk.text for chunk in chunks) == "x" * 1_000


@pytest.mark.parametrize(
    "text",
    [
        "The fee set by Mr. Smith of Example Inc. applies, e.g. to transfers of approx. 3.5 million.",
        "1. The first item of the list is one sentence.",
        "See Art. 5 and No. 7 of the U.S. rules.",
        "He asked why? nobody knows",
    ],
)
def test_abbreviations_do_not_end_a_sentence(text: str) -> None:
    count = 2 if "?" in text else 1
    assert len(list(sentences(Block(P, text, 0)))) == count


def test_sentences_of_scripts_without_spaces_are_found() -> None:
    block = Block(P, "手续费为三欧元。学生免费！", 10)
    assert list(sentences(block)) == [(10, "手续费为三欧元。"), (18, "学生免费！")]


def test_a_heading_begins_a_chunk_and_is_its_path() -> None:
    chunks = cut(
        [
            Fragment(H, "Fees", level=1),
            Fragment(P, sentence(0)),
            Fragment(H, "Waivers", level=2),
            Fragment(P, sentence(1)),
            Fragment(H, "Complaints", level=1),
            Fragment(P, sentence(2)),
        ]
    )
    assert [(chunk.heading_path, chunk.text.splitlines()[0]) for chunk in chunks] == [
        (("Fees",), "Fees"),
        (("Fees", "Waivers"), "Waivers"),
        (("Complaints",), "Complaints"),
    ]


def test_a_heading_at_the_foot_of_a_page_leaves_the_next_page_its_own_citation() -> None:
    chunks = cut(
        [
            Fragment(P, sentence(0, 15), page=1),
            Fragment(H, "Waivers", level=1, page=1),
            Fragment(P, sentence(1, 15), page=2),
        ]
    )
    assert [(chunk.page_start, chunk.page_end) for chunk in chunks] == [(1, 1), (2, 2)]
    assert chunks[0].text.endswith("\nWaivers")
    assert (chunks[1].heading_path, chunks[1].text[:9]) == (("Waivers",), "Sentence1")


def test_a_page_number_joins_the_chunk_before_it() -> None:
    chunks = cut([Fragment(P, sentence(0, 20), page=1), Fragment(P, "17", page=1), Fragment(P, sentence(1), page=2)])
    assert [(chunk.text.split()[-1], chunk.page_start, chunk.page_end) for chunk in chunks] == [
        ("17", 1, 1),
        ("end.", 2, 2),
    ]


def test_two_tiny_sections_in_one_chunk_share_only_the_path_above_both() -> None:
    chunks = cut(
        [
            Fragment(H, "Fees", level=1),
            Fragment(H, "A", level=2),
            Fragment(P, "None."),
            Fragment(H, "B", level=2),
            Fragment(P, sentence(0)),
        ],
        target=60,
        limit=60,
    )
    assert [chunk.heading_path for chunk in chunks] == [("Fees",)]


def test_a_table_repeats_its_header_in_each_chunk() -> None:
    rows = [Fragment(TR, f"Account{n} | {n} | one two three") for n in range(9)]
    chunks = cut([Fragment(P, sentence(0)), Fragment(TH, "Account | Fee"), *rows, Fragment(P, sentence(1))])
    tables = [chunk for chunk in chunks if "Account0" in chunk.text or chunk.text.startswith("Account")]
    assert len(tables) > 2
    assert all("Account | Fee\n" in chunk.text for chunk in tables)
    assert all(chunk.token_count <= 30 for chunk in chunks)


def test_a_table_repeats_its_header_even_where_a_chunk_turns_out_too_long() -> None:
    rows = [Fragment(TR, f"row {n:03}") for n in range(40)]
    blocks = document([Fragment(TH, "h | h"), *rows])
    chunks = list(chunks_of(blocks, whole_quads, ChunkSize(16, 20)))
    assert len(chunks) > 4
    assert all(chunk.text.startswith("h | h\nrow") for chunk in chunks)


def test_a_header_too_long_to_repeat_is_an_ordinary_row() -> None:
    rows = [Fragment(TR, f"Account{n} | {n}") for n in range(20)]
    chunks = cut([Fragment(TH, " | ".join(["column"] * 12)), *rows])
    assert sum("column" in chunk.text for chunk in chunks) == 1


def test_another_header_begins_another_table() -> None:
    first = [Fragment(TH, "One | Two"), *[Fragment(TR, f"First{n} | {n}") for n in range(5)]]
    second = [Fragment(TR, "Between | 1"), Fragment(TH, "Three | Four"), Fragment(TR, "Second | 2")]
    chunks = cut([*first, *second], target=16, limit=16)
    assert chunks[-1].text == "Three | Four\nSecond | 2"


def test_a_run_of_header_rows_is_a_header_of_four_at_most() -> None:
    headers = [Fragment(TH, f"Header{n}") for n in range(6)]
    chunks = cut(
        [*headers, *[Fragment(TR, f"Row{n} | one two three four five") for n in range(9)]], target=16, limit=30
    )
    assert len(chunks) > 2
    assert all(chunk.text.startswith("Header4\nHeader5\nRow") for chunk in chunks[1:])


def test_a_chunk_never_holds_two_sheets() -> None:
    chunks = cut([Fragment(TR, "a | b", sheet="One"), Fragment(TR, "c | d", sheet="Two")])
    assert [(chunk.sheet, chunk.text) for chunk in chunks] == [("One", "a | b"), ("Two", "c | d")]


@pytest.mark.slow
def test_chunks_of_ten_thousand_pages_are_cut_in_bounded_memory() -> None:
    def pages(count: int) -> Iterator[Block]:
        start = 0
        for page in range(1, count + 1):
            block = Block(P, " ".join(sentence(number, 20) for number in range(12)), start, page=page)
            start = block.end + 1
            yield block

    chunker = Chunker(words, ChunkSize())
    tracemalloc.start()
    try:
        count = sum(len(chunker.add(block)) for block in pages(10_000)) + len(chunker.finish())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count >= 20_000
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize(("target", "limit", "overlap"), [(180, 100, 0), (8, 8, 0), (180, 250, 120)])
def test_sizes_that_cannot_be_kept_are_refused(target: int, limit: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        ChunkSize(target, limit, overlap)


def test_what_leads_into_a_list_begins_each_chunk_of_it() -> None:
    items = [Fragment(L, f"({n}) one two three four five six", page=1 + n // 5) for n in range(9)]
    lead = Fragment(P, "Some words. The fee is waived if:", page=1)
    chunks = cut([lead, *items[:5], Fragment(P, "Page 7 of 9", page=1), *items[5:], Fragment(P, sentence(1), page=2)])
    lists = [chunk for chunk in chunks if "six" in chunk.text]
    assert len(lists) > 2
    assert all("The fee is waived if:\n" in chunk.text for chunk in lists)
    assert all(chunk.token_count <= 30 for chunk in chunks)
    assert not any("waived" in chunk.text for chunk in chunks if "six" not in chunk.text)


def test_a_paragraph_ends_what_a_list_is_led_into_by() -> None:
    items = [Fragment(L, f"({n}) one two three four five six") for n in range(4)]
    chunks = cut([Fragment(P, "The fee is waived if:"), items[0], Fragment(P, sentence(0)), *items[1:]])
    assert sum("waived" in chunk.text for chunk in chunks) == 1

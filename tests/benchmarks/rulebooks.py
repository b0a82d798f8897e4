"""Whole rulebooks, ingested by `affidavit ingest`: how much of the passages that answer is in what a search shows.

    python -m tests.benchmarks.rulebooks                                # 40 rulebooks, 600 questions: about five quiet minutes
    python -m tests.benchmarks.rulebooks --rulebooks 8 --questions 100  # the eight shortest, and what is asked about them
    python -m tests.benchmarks.rulebooks --folder FOLDER                # keeps what was ingested there, for the next run

The given passages are half as long as our chunks, so that recall is counted twice: of the first ten chunks, and of as many as have
the words of ten given passages. A passage is found when these chunks hold at least half of it. Writes bench-results/rulebooks.json.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.deployment import SHARED_DATA, Deployment, deployment, worker, write_results
from tests.benchmarks.filings import file_of, ingest
from tests.benchmarks.quality import Notes

RULEBOOKS = SHARED_DATA / "obliqa"
TENANT = "rulebooks"
ASKED = 0.80  # of the first ten
TEN, BUDGET = 10, 730  # chunks; words
DEPTH = 40  # chunks that are asked for, which have more words than the budget
SEED = 7  # by which questions are chosen
IN_FLIGHT = 2

Range = tuple[int, int]
_NOT_IN_NAMES = re.compile(r"[^\w .-]+")  # of files


@dataclass(frozen=True)
class GoldPassage:
    """Where a passage that answers stands: in which file, and from where to where in what is printed of it."""

    file: str
    place: Range


class PrintedText:
    """The text of a rulebook without white space and what is invisible, which parsing may change."""

    def __init__(self, text: str) -> None:
        """Reads the text as it is in the data."""
        self._kept = [index for index, character in enumerate(text) if _is_printed(character)]
        self._text = "".join(text[index] for index in self._kept)
        self._before = {index: number for number, index in enumerate(self._kept)}

    def range_of(self, start: int, end: int) -> Range:
        """Returns where characters of the whole text stand in the printed one."""
        inside = [self._before[index] for index in range(start, end) if index in self._before]
        return (inside[0], inside[-1] + 1) if inside else (0, 0)

    def find(self, text: str, near: float) -> Range:
        """Returns where a chunk stands: of equal places the one nearest to a share of the text; (0, 0) if it is nowhere.

        What parsing changed in its middle stands nowhere as a whole: then its second half is found.
        """
        printed = "".join(filter(_is_printed, text))
        for part in (printed, printed[len(printed) // 2 :]):
            starts = [match.start() for match in re.finditer(f"(?={re.escape(part)})", self._text)]
            if part and starts:
                start = min(starts, key=lambda place: abs(place - near * len(self._text)))
                return start, start + len(part)
        return 0, 0


def _is_printed(character: str) -> bool:
    return character.isprintable() and not character.isspace()


def share_found(passages: Sequence[GoldPassage], shown: Sequence[GoldPassage]) -> float:
    """Returns the share of the passages of which at least half is in what is shown."""
    return statistics.mean(
        _covered(passage, shown) >= (passage.place[1] - passage.place[0]) / 2 for passage in passages
    )


def _covered(passage: GoldPassage, shown: Sequence[GoldPassage]) -> int:
    start, end = passage.place
    held: set[int] = set()  # chunks may repeat sentences of one another
    for file, (first, last) in ((chunk.file, chunk.place) for chunk in shown):
        if file == passage.file:
            held.update(range(max(start, first), min(end, last)))
    return len(held)


def within(words: Sequence[int], budget: int) -> int:
    """Returns how many of the first texts have, by their words, room in a budget."""
    used = 0
    for number, count in enumerate(words):
        used += count
        if used > budget:
            return number
    return len(words)


@dataclass(frozen=True)
class Rulebooks:
    """The rulebooks by the names of their files, and where each passage stands."""

    texts: Mapping[str, str]
    printed: Mapping[str, PrintedText]
    passages: Mapping[str, GoldPassage]

    @classmethod
    def read(cls, most: int | None) -> "Rulebooks":
        """Reads so many of the rulebooks, the shortest first, or all of them."""
        documents = sorted(_lines("fulldocs.jsonl"), key=lambda document: len(document["text"]))[:most]
        texts = {f"{_NOT_IN_NAMES.sub(' ', one['title']).strip()}.txt": one["text"] for one in documents}
        assert len(texts) == len(documents), "two rulebooks have one title"
        printed = {name: PrintedText(text) for name, text in texts.items()}
        passages = {
            span["doc_id"]: GoldPassage(name, printed[name].range_of(span["start"], span["end"]))
            for name, document in zip(texts, documents, strict=True)
            for span in document["spans"]
        }
        return cls(texts, printed, passages)

    def questions(self, most: int) -> list[tuple[str, list[GoldPassage]]]:
        """Returns so many questions, chosen at random but always alike, each with the passages that answer it."""
        answered = [
            (question["question"], [self.passages[gold] for gold in question["relevant_doc_ids"]])
            for question in _lines("queries_dev.jsonl")
            if set(question["relevant_doc_ids"]) <= set(self.passages)
        ]
        return random.Random(SEED).sample(answered, min(most, len(answered)))

    def shown(self, context: Mapping[str, Any]) -> GoldPassage:
        """Returns where a chunk that was found stands, without what leads into the list within which it begins."""
        name, start, end = file_of(dict(context)), context["char_start"], context["char_end"]
        own = context["chunk_text"][-(end - start) :]
        place = self.printed[name].find(own, start / max(len(self.texts[name]), 1))
        return GoldPassage(name, place)


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with (RULEBOOKS / name).open() as file:
        yield from map(json.loads, file)


async def ingested(running: Deployment, rulebooks: Rulebooks, notes: Notes) -> None:
    """Ingests the rulebooks as files of text, unless that was done."""
    if notes.known("ingested"):
        return
    folder = notes.folder / "files"
    folder.mkdir()
    for name, text in rulebooks.texts.items():
        (folder / name).write_text(text)
    await running.tenant(TENANT)
    async with worker(running, notes.folder / "deployment"):
        if not await ingest(running, TENANT, sorted(folder.iterdir())):
            raise RuntimeError("A rulebook was not ingested.")
    notes.add("ingested", len(rulebooks.texts))


async def asked(
    client: httpx.AsyncClient, headers: dict[str, str], rulebooks: Rulebooks, most: int
) -> dict[str, float | int]:
    """Asks the questions; returns the recall of the first ten chunks and of the budget, and how many words ten chunks have."""
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def one(text: str, passages: list[GoldPassage]) -> tuple[float, float, int]:
        async with limit:
            answer = await client.post("/retrieve", json={"query": text[:4000], "k": DEPTH}, headers=headers)
        contexts = answer.raise_for_status().json()["contexts"]
        shown = [rulebooks.shown(context) for context in contexts]
        words = [len(context["chunk_text"].split()) for context in contexts]
        return (
            share_found(passages, shown[:TEN]),
            share_found(passages, shown[: within(words, BUDGET)]),
            sum(words[:TEN]),
        )

    found = await asyncio.gather(*(one(*question) for question in rulebooks.questions(most)))
    of_ten, of_budget, words = zip(*found, strict=True)
    return {
        "questions": len(found), "recall of 10": round(statistics.mean(of_ten), 3),
        f"recall of {BUDGET} words": round(statistics.mean(of_budget), 3), "words of 10": round(statistics.mean(words)),
    }  # fmt: skip


async def main(rulebooks: int | None, questions: int, kept: Path | None) -> None:
    """Prints what was found beside what was asked for, and writes it as JSON."""
    read = Rulebooks.read(rulebooks)
    with tempfile.TemporaryDirectory(prefix="affidavit-rulebooks-") as made:
        notes = Notes(kept or Path(made))
        async with (
            deployment(notes.folder / "deployment", keep=kept is not None) as running,
            running.client() as client,
        ):
            await ingested(running, read, notes)
            found = await asked(client, await running.sign_in(client, TENANT, "analyst"), read, questions)
    write_results("rulebooks.json", found)
    print(json.dumps(found, indent=2))
    print(f"Asked for: recall of 10 ≥ {ASKED:g}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rulebooks", type=int, help="at most so many, the shortest first; unset means all")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--folder", type=Path, help="where the database is kept; unset means that it is removed")
    options = parser.parse_args()
    asyncio.run(main(options.rulebooks, options.questions, options.folder))

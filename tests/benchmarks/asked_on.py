"""What `make bench` asks beyond single questions that have an answer: follow-ups, and questions that nothing answers.

A follow-up is asked after its first question, and what the service reads it as is what the article is searched by.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
SUPPORT = "askcfpb"


async def asked_on(client: httpx.AsyncClient, headers: Mapping[str, str]) -> dict[str, str]:
    """Returns a row for the follow-ups, one for these as they stand, and one for what is not answered, of the support articles."""
    read, alone = [0, 0], [0, 0]
    pairs = _lines(HERE / "follow_ups.jsonl")
    for pair in pairs:
        first = await _post(client, headers, "/answer", question=pair["first"])
        then = await _post(client, headers, "/answer", question=pair["then"], previous_turn=first["turn"])
        for counted, query in ((read, then["read_as"] or pair["then"]), (alone, pair["then"])):
            contexts = (await _post(client, headers, "/retrieve", query=query, k=10))["contexts"]
            found = [context["doc_id"] for context in contexts]
            counted[0] += pair["source"] in found[:1]
            counted[1] += pair["source"] in found
    questions = [row["question"] for row in _lines(HERE / "answers/questions.jsonl") if row["set"].startswith("near")]
    refused = [(await _post(client, headers, "/answer", question=question))["refused"] for question in questions]
    return {
        f"follow-ups ({len(pairs)}): the article first, among ten": f"{read[0]}, {read[1]}",
        "follow-ups as they stand": f"{alone[0]}, {alone[1]}",
        f"near questions without an answer ({len(questions)}): refused": str(sum(refused)),
    }


async def _post(client: httpx.AsyncClient, headers: Mapping[str, str], path: str, **body: Any) -> Any:
    return (await client.post(path, json=body, headers=headers)).raise_for_status().json()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

"""What a door for programs costs: the same question through OpenAI's protocol and MCP, beside the route that they wrap.

    python -m tests.benchmarks.doors

Asked for: at most 10 % more at the median. The calls take turns in one run, so that both meet the same machine.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.deployment import RESULTS, Deployment, deployment
from tests.benchmarks.load_client import LoadClient, encoded

TURNS = 300
DOCUMENTS = 400
MOST = 1.10
_QUESTION = "What does it cost to keep account {number}?"


def _mcp(tool: str, arguments: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    meta = {"io.modelcontextprotocol/protocolVersion": "2025-11-25"}
    params = {"name": tool, "arguments": dict(arguments), "_meta": meta}
    return "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _calls(question: str, store: str) -> dict[str, dict[str, tuple[str, Mapping[str, object]]]]:
    """Returns by what is done the route that does it, and the doors that wrap it."""
    chat = {"model": "affidavit", "messages": [{"role": "user", "content": question}]}
    searching = [{"type": "file_search", "vector_store_ids": [store]}]
    response = {"model": "affidavit", "input": question, "tools": searching}
    return {
        "answer": {
            "route": ("/answer", {"question": question}),
            "chat": ("/v1/chat/completions", chat),
            "mcp": _mcp("ask", {"question": question}),
        },
        # A vector store is a collection, so that the route is asked about it as well.
        "answer in": {
            "route": ("/answer", {"question": question, "collection": "accounts"}),
            "responses": ("/v1/responses", response),
        },
        "retrieve": {
            "route": ("/retrieve", {"query": question, "k": 10}),
            "stores": (f"/v1/vector_stores/{store}/search", {"query": question, "max_num_results": 10}),
            "mcp": _mcp("search", {"query": question}),
        },
    }


async def _fill(served: Deployment) -> tuple[dict[str, str], str]:
    """Returns headers of an analyst, and the vector store that a collection is, of a tenant with documents."""
    await served.tenant("doors", ["accounts"])
    async with served.client() as client:
        editor = await served.sign_in(client, "doors", "editor")
        chunks = [
            {"doc_id": f"fees-{n}", "chunk_text": f"Keeping account {n} costs {n}.50 euros a month.", "source_type": "policy", "collection": "accounts"}
            for n in range(DOCUMENTS)
        ]  # fmt: skip
        (await client.post("/ingest/batch", json={"chunks": chunks}, headers=editor)).raise_for_status()
        analyst = await served.sign_in(client, "doors", "analyst")
        stores = (await client.get("/v1/vector_stores", headers=analyst)).json()["data"]
    return analyst, next(store["id"] for store in stores if store["name"] == "accounts")


async def measure() -> dict[str, dict[str, float]]:
    """Returns the medians in milliseconds by what is done and through what."""
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        async with deployment(Path(folder) / "doors") as served:
            headers, store = await _fill(served)
            headers = {**headers, "Accept": "application/json, text/event-stream"}
            client = await LoadClient.connect(served.base_url)
            for turn in range(TURNS + 10):
                for what, doors in _calls(_QUESTION.format(number=turn % DOCUMENTS), store).items():
                    asked = list(doors.items())
                    first = turn % len(asked)  # whoever is first finds nothing of the question at hand
                    for door, (path, body) in asked[first:] + asked[:first]:
                        request = encoded(path, body, headers)
                        started = time.perf_counter()
                        await client.send(request)
                        if turn >= 10:
                            taken.setdefault(what, {}).setdefault(door, []).append(
                                (time.perf_counter() - started) * 1000
                            )
            client.close()
    return {what: {door: statistics.median(times) for door, times in doors.items()} for what, doors in taken.items()}


def main() -> int:
    """Prints the table, writes it as JSON, and returns 1 when a door costs more than it may."""
    medians = asyncio.run(measure())
    worst = 0.0
    for what, doors in medians.items():
        for door, median in doors.items():
            ratio = median / doors["route"]
            worst = max(worst, ratio)
            print(f"{what:10} {door:10} {median:8.2f} ms  {ratio:5.2f}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "doors.json").write_text(json.dumps(medians, indent=2))
    print(f"the dearest door costs {worst:.2f} of its route (asked for: {MOST:.2f})")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())

"""How long the requests take that people make most, beside the least that any takes, and how soon the service starts
again, once the model is there.

    python -m tests.benchmarks.routes

Asked for: an answer of the built-in generator at most 3 times a retrieval, and a start within 3 seconds. The requests take turns in
one run, so that all meet the same machine.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.deployment import RESULTS, Deployment, deployment, p50
from tests.benchmarks.load_client import LoadClient, encoded, framed
from tests.serving import started

TURNS, WARM_UP, DOCUMENTS = 200, 20, 1_000
MOST_ANSWER, MOST_START_SECONDS = 3.0, 3.0


async def _fill(served: Deployment) -> tuple[dict[str, str], dict[str, str]]:
    """Returns headers of an analyst and of a partner's key, of a tenant with documents."""
    tenant_id = await served.tenant("routes")
    async with served.client() as client:
        editor = await served.sign_in(client, "routes", "editor")
        for start in range(0, DOCUMENTS, 250):
            chunks = [
                {"doc_id": f"fees-{n}", "chunk_text": f"Keeping account {n} costs {n}.50 euros a month.", "source_type": "policy"}
                for n in range(start, start + 250)
            ]  # fmt: skip
            (await client.post("/ingest/batch", json={"chunks": chunks}, headers=editor)).raise_for_status()
        return await served.sign_in(client, "routes", "analyst"), await served.key(tenant_id, ["default"])


def _requests(number: int, analyst: dict[str, str], partner: dict[str, str]) -> dict[str, bytes]:
    question = f"What does it cost to keep account {number % DOCUMENTS}?"
    return {
        "GET /health": framed("GET", "/health", {}),
        "GET /auth/me, token": framed("GET", "/auth/me", analyst),
        "GET /auth/me, key": framed("GET", "/auth/me", partner),
        "POST /retrieve": encoded("/retrieve", {"query": question}, analyst),
        "POST /answer": encoded("/answer", {"question": question}, analyst),
    }


def _of_the_demo(home: Path) -> list[float]:
    """Returns how many milliseconds answers took that are the first a newcomer gets, over one kept connection."""

    async def asked(url: str) -> list[float]:
        client, taken, request = await LoadClient.connect(url), [], framed("GET", "/health", {})
        for _ in range(TURNS + WARM_UP):
            began = time.perf_counter()
            await client.send(request)
            taken.append((time.perf_counter() - began) * 1000)
        client.close()
        return taken[WARM_UP:]

    with started("demo", settings={"AFFIDAVIT_HOME": str(home)}, seconds=600) as demo:
        return asyncio.run(asked(demo.url))


async def measure() -> dict[str, float]:
    """Returns medians in milliseconds by request, and how long the service took to start, in seconds."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        async with deployment(Path(folder) / "routes") as served:
            analyst, partner = await _fill(served)
            client = await LoadClient.connect(served.base_url)
            for turn in range(TURNS + WARM_UP):
                for name, request in _requests(turn, analyst, partner).items():
                    started = time.perf_counter()
                    await client.send(request)
                    if turn >= WARM_UP:
                        taken.setdefault(name, []).append((time.perf_counter() - started) * 1000)
            client.close()
            start = p50([await served.start_again() for _ in range(5)])
        taken["GET /health, demo"] = await asyncio.to_thread(_of_the_demo, Path(folder) / "demo")
    return {name: p50(times) for name, times in taken.items()} | {"start, seconds": start}


def main() -> int:
    """Prints the table, writes it as JSON, and returns 1 when something takes longer than it may."""
    found = asyncio.run(measure())
    retrieve = found["POST /retrieve"]
    for name, median in found.items():
        ratio = "" if name.startswith("start") else f"{median / retrieve:8.2f} of a retrieval"
        print(f"{name:22} {median:8.2f}{ratio}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "routes.json").write_text(json.dumps(found, indent=2) + "\n")
    return int(found["POST /answer"] > MOST_ANSWER * retrieve or found["start, seconds"] > MOST_START_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

"""How long the console's pages take, beside the calls of the API whose answers they show.

    python -m tests.benchmarks.pages

Asked for: at most 1.5 times the calls at the median. Pages and calls take turns in one run, so that both meet the same machine.
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx

from backend.identity.callers.permissions import Role
from backend.operation.service import operator
from tests.benchmarks.deployment import PASSWORD, RESULTS, Deployment, deployment, p50
from tests.benchmarks.load_client import LoadClient, encoded, framed

TURNS, WARM_UP, DOCUMENTS = 100, 10, 400
MOST = 1.5
_EVERYTHING = "everything"
_FACETS = "facets=action&facets=actor&facets=outcome&facets=door"  # as the page of events shows


@dataclass(frozen=True)
class Looker:
    """Somebody who is signed in twice: with a token for the API, and with a cookie and its form token for the console."""

    api: dict[str, str]
    console: dict[str, str]
    form_token: str


@dataclass(frozen=True)
class Filled:
    """What a tenant holds that pages show: a document, and an answer's event and turn."""

    document: str
    event: str
    turn: str


async def _fill(served: Deployment) -> tuple[Looker, Filled]:
    """Returns who looks, and at what, in a tenant with documents and a log."""
    tenant_id = await served.tenant("pages")
    async with operator(served.urls["owner_url"]) as acting:
        roles = [Role.ANALYST, Role.EDITOR, Role.COMPLIANCE]
        await acting.create_user(tenant_id, _EVERYTHING, PASSWORD, roles)
    async with served.client() as client:
        headers = await served.sign_in(client, "pages", _EVERYTHING)
        chunks = [
            {"doc_id": f"fees-{n}", "chunk_text": f"Keeping account {n} costs {n}.50 euros a month.", "source_type": "policy"}
            for n in range(DOCUMENTS)
        ]  # fmt: skip
        (await client.post("/ingest/batch", json={"chunks": chunks}, headers=headers)).raise_for_status()
        listed = (await client.get("/documents", headers=headers)).raise_for_status().json()["documents"]
        asked = {"question": "What does it cost to keep account 7?"}
        answered = (await client.post("/answer", json=asked, headers=headers)).raise_for_status().json()
        filled = Filled(listed[0]["id"], answered["audit_event_id"], answered["turn"])
    return await _visitor(served, headers), filled


async def _visitor(served: Deployment, headers: dict[str, str]) -> Looker:
    async with httpx.AsyncClient(base_url=served.base_url, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        form = {"tenant": "pages", "username": _EVERYTHING, "password": PASSWORD}
        answer = await client.post("/console/sign-in", data=form)
        assert answer.status_code == 303, answer.text
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        page = await client.get("/console/ask")
        found = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert found is not None, page.text
    return Looker(headers, {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}, found[1])


def _pairs(number: int, visitor: Looker, filled: Filled) -> dict[str, tuple[bytes, list[bytes]]]:
    """Returns a page, and the calls of which it shows the answers, by what they show."""
    question = f"What does it cost to keep account {number % DOCUMENTS}?"
    form = urlencode({"question": question, "form_token": visitor.form_token}).encode()
    typed = {**visitor.console, "Content-Type": "application/x-www-form-urlencoded"}

    def page(path: str) -> bytes:
        return framed("GET", path, visitor.console)

    def call(path: str) -> bytes:
        return framed("GET", path, visitor.api)

    return {
        "ask": (framed("POST", "/console/ask", typed, form), [encoded("/answer", {"question": question}, visitor.api)]),
        "search": (
            page(f"/console/search?q={quote(question)}"), [encoded("/retrieve", {"query": question}, visitor.api)]
        ),
        "documents": (page("/console/documents"), [call("/documents?limit=50"), call("/collections")]),
        "document": (page(f"/console/documents/{filled.document}"), [call(f"/documents/{filled.document}")]),
        "events": (page("/console/review"), [call(f"/audit/events?limit=50&{_FACETS}"), call("/audit/searches")]),
        "event": (page(f"/console/review/events/{filled.event}"), [call(f"/audit/events/{filled.event}")]),
        "turn": (page(f"/console/review/turns/{filled.turn}"), [call(f"/audit/turns/{filled.turn}")]),
    }  # fmt: skip


async def measure() -> dict[str, dict[str, float]]:
    """Returns the medians of page and call in milliseconds, by what they show."""
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        async with deployment(Path(folder) / "pages") as served:
            visitor, filled = await _fill(served)
            client = await LoadClient.connect(served.base_url)
            for turn in range(TURNS + WARM_UP):
                for what, (page, calls) in _pairs(turn, visitor, filled).items():
                    for name, requests in (("page", [page]), ("call", calls)):
                        started = time.perf_counter()
                        for request in requests:
                            await client.send(request)
                        if turn >= WARM_UP:
                            times = taken.setdefault(what, {}).setdefault(name, [])
                            times.append((time.perf_counter() - started) * 1000)
            client.close()
    return {what: {name: p50(times) for name, times in both.items()} for what, both in taken.items()}


def main() -> int:
    """Prints the table, writes it as JSON, and returns 1 when a page takes longer than it may."""
    found = asyncio.run(measure())
    for what, both in found.items():
        print(f"{what:12} page {both['page']:7.2f} ms  call {both['call']:7.2f} ms  {both['page'] / both['call']:5.2f}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "pages.json").write_text(json.dumps(found, indent=2) + "\n")
    worst = max(both["page"] / both["call"] for both in found.values())
    print(f"the slowest page takes {worst:.2f} times its call (asked for: {MOST:.2f})")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())

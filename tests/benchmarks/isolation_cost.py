"""What row-level security and the signed context cost: /retrieve as it is, beside the same route as a superuser whose
only wall is the predicate `tenant_id = $1` in its queries. Asked for: at most 10 % at the median.

    python -m tests.benchmarks.isolation_cost
"""

import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvloop
from fastapi import FastAPI

from backend.app import create_app
from backend.database import Connection
from backend.provided import provide
from backend.services import services_of
from backend.settings import Settings
from backend.tenancy import Claims, Tenancy
from tests.benchmarks.deployment import RESULTS, Deployment, deployment, p50
from tests.benchmarks.synthetic import Corpus, Topics, load

SIZES = (1_000, 20_000)
QUESTIONS = 150
WARM_UP = 15
MOST = 1.10


class Unbound(Tenancy):
    """Opens transactions without telling PostgreSQL who is calling, as a service without row-level security does."""

    async def bind(self, connection: Connection, claims: Claims, statement: str = "") -> None:
        """Does nothing; the role's own settings let this side reuse its plans as the other does."""


@dataclass
class Side:
    """One way to serve, and how long each question took."""

    client: httpx.AsyncClient
    milliseconds: list[float] = field(default_factory=list)


@asynccontextmanager
async def serving(settings: Settings, *, walled: bool) -> AsyncIterator[Side]:
    """The service in this process; without walls, /retrieve runs unbound and as whoever the URL names."""
    app: FastAPI = create_app(settings)
    async with app.router.lifespan_context(app):
        if not walled:
            services = services_of(app)
            unbound = Unbound(services.pool, services.tenancy._signer, timeout=settings.database_timeout)
            provide(app, replace(services, tenancy=unbound))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench.test") as client:
            yield Side(client)


async def measure(deployed: Deployment, secrets: dict[str, Any], home: Path) -> list[dict[str, Any]]:
    """Returns the medians of both sides for each size."""
    common: dict[str, Any] = {
        "home": home, "context_key": secrets["context_key"], "payload_key": secrets["payload_key"],
        "jwt_private_key": secrets["jwt_private_key"], "log_level": "ERROR",
    }  # fmt: skip
    superuser = await asyncpg.connect(deployed.urls["superuser_url"])
    await superuser.execute(
        "alter role postgres set plan_cache_mode = 'force_generic_plan'; alter role postgres set jit = off"
    )
    async with AsyncExitStack() as stack:
        walled = await stack.enter_async_context(
            serving(Settings(runtime_database_url=deployed.urls["runtime_url"], **common), walled=True)
        )
        open_ = await stack.enter_async_context(
            serving(Settings(runtime_database_url=deployed.urls["superuser_url"], **common), walled=False)
        )
        topics = Topics(walled.client._transport.app.state.services.embedder.model)  # type: ignore[attr-defined]
        corpora, headers = [], []
        for size in SIZES:
            tenant_id = await deployed.tenant(f"bench-{size}")
            collection_id = await superuser.fetchval(
                "select id from documents.collection where tenant_id = $1", tenant_id
            )
            corpora.append(Corpus(tenant_id, collection_id, size))
            headers.append(await deployed.key(tenant_id, ["default"]))
        await load(superuser, topics, corpora)
        await superuser.close()
        return [
            await compare(topics, size, credential, walled, open_)
            for size, credential in zip(SIZES, headers, strict=True)
        ]


async def compare(topics: Topics, size: int, headers: dict[str, str], walled: Side, open_: Side) -> dict[str, Any]:
    """Asks both sides the same questions in turn, each side first as often as second."""
    walled.milliseconds, open_.milliseconds = [], []
    for number in range(WARM_UP + QUESTIONS):
        question = {"query": topics.question()[0]}
        for side in (walled, open_) if number % 2 else (open_, walled):
            started = time.perf_counter()
            answer = await side.client.post("/retrieve", json=question, headers=headers)
            taken = (time.perf_counter() - started) * 1000
            assert len(answer.json()["contexts"]) == 5, answer.text
            if number >= WARM_UP:
                side.milliseconds.append(taken)
    ratio = p50(walled.milliseconds) / p50(open_.milliseconds)
    return {
        "chunks": size, "walled_p50_ms": round(p50(walled.milliseconds), 2), "open_p50_ms": round(p50(open_.milliseconds), 2),
        "ratio": round(ratio, 3),
    }  # fmt: skip


async def main() -> int:
    """Prints and stores the comparison; returns 1 when the walls cost more than they may."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server's account passes through
        async with deployment(Path(folder) / "bench") as deployed:
            secrets = json.loads((Path(folder) / "bench" / "secrets.json").read_text())
            found = await measure(deployed, secrets, Path(folder) / "bench" / "home")
    for row in found:
        print(
            f"{row['chunks']:>6} chunks: {row['walled_p50_ms']:.2f} ms with row-level security and signed context,"
            f" {row['open_p50_ms']:.2f} ms as superuser with a predicate: {row['ratio']:.3f} times (at most {MOST:.2f})"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "isolation-cost.json").write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(row["ratio"] <= MOST for row in found) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))  # as uvicorn does

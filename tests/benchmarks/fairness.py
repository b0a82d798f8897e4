"""Whether one tenant's flood is its own: another tenant's waiting time with the flood, beside that without it.

    make bench-fairness

One tenant sends 100 requests at once, over and over: questions of 4 kB, answers, batches to ingest, files and exports, which a worker
on the same machine does. Another asks one question after the other. Asked for: at most twice its p99 without the flood and no error,
`/health` and `/ready` within 50 ms (p99), and refusals within 100 ms (p99) of a flood that sends 20 times of what is served.

The queues of a tenant hold 100 requests of several kinds and refuse few of them. So the refusals are those of a crowd, which is so
many times larger that 20 requests are sent for each that is served. They are told by kinds: a kind that is refused to nobody says so.

Client, service and database share the machine. So the other tenant is also asked while the flood goes to a server that does nothing
but refuse: what it then waits longer is the load generator's doing. The three are measured in turn, several times, since whatever
else the machine does changes from minute to minute. A refusal is timed by a client that is not busy with sending the flood: the
flood's own process gives way to the service, and would count how long it waits for a core itself. What a flood left behind in the
service's queues is waited for, so that nobody is alone beside it. `--kind` floods with requests of one kind, to see which is felt most.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.benchmarks.deployment import RESULTS, Deployment, deployment, p50, worker
from tests.benchmarks.flood import COUNTER, REFUSED, Flooded, flooding, refusing_everything
from tests.benchmarks.load_client import LoadClient, encoded, framed

ROUNDS, QUESTIONS = 5, 60
KINDS = ("retrieve", "answer", "batch", "upload", "export")
_IDLE, _MOST_SECONDS = 0.05, 120.0  # of a processor in a second; and how long that is waited for
FLOOD, CROWD = 100, 600
_CROWDED_SECONDS = 5.0
MOST_RATIO, MOST_REFUSAL, MOST_READY, LEAST_OFFERED = 2.0, 100.0, 50.0, 20.0
_LONG = " ".join(f"clause {n} of the agreement on fees" for n in range(110))
_BOUNDARY = "one-file-in-a-form"
_NO_SEAT = 90_000_000  # where the numbers begin that no seat of a flood sends
_PAUSE_SECONDS = 0.05  # of who is refused and asks again


def p99(taken: Sequence[float]) -> float:
    """Returns the 99th percentile; of a single one, itself."""
    return statistics.quantiles(taken, n=100)[98] if len(taken) > 1 else taken[0]


async def _fill(served: Deployment, slug: str) -> dict[str, dict[str, str]]:
    """Returns headers of the users of a tenant with some documents, by their names."""
    await served.tenant(slug)
    async with served.client() as client:
        users = {name: await served.sign_in(client, slug, name) for name in ("editor", "analyst", "compliance")}
        chunks = [
            {
                "doc_id": f"rule-{n}",
                "chunk_text": f"Rule {n}: wires of kind {n} leave before noon.",
                "source_type": "policy",
            }
            for n in range(500)
        ]
        answer = await client.post("/ingest/batch", json={"chunks": chunks}, headers=users["editor"])
        answer.raise_for_status()
        return users


def _heavy(users: dict[str, dict[str, str]], seat: int, kinds: Sequence[str]) -> list[bytes]:
    """Returns what one seat of the flood sends in turn."""
    number = COUNTER.decode()
    chunks = [
        {"doc_id": f"flood-{number}-{n}", "chunk_text": f"{number} {_LONG}", "source_type": "policy"} for n in range(20)
    ]
    question = f"When do wires of kind {seat} leave?"
    requests = [
        encoded("/retrieve", {"query": _LONG[:4000], "k": 100}, users["analyst"]),
        encoded("/answer", {"question": question}, users["analyst"]),
        encoded("/ingest/batch", {"chunks": chunks}, users["editor"]),
        _upload(f"# {number}\n\n" + f"{_LONG}\n\n" * 20, users["editor"]),
        encoded("/audit/exports", {"from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}, users["compliance"]),
    ]
    return [request for kind, request in zip(KINDS, requests, strict=True) if kind in kinds]


def _upload(text: str, headers: dict[str, str]) -> bytes:
    """Returns the upload of a text as a file, whose doc_id is its name."""
    fields = {"source_type": "policy", "doc_id": f"file-{COUNTER.decode()}"}
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    disposition = 'Content-Disposition: form-data; name="file"; filename="flood.md"\r\nContent-Type: text/markdown'
    parts.append(f"{disposition}\r\n\r\n{text}")
    form = "".join(f"--{_BOUNDARY}\r\n{part}\r\n" for part in parts) + f"--{_BOUNDARY}--\r\n"
    typed = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", **headers}
    return framed("POST", "/documents", typed, form.encode())


async def _ask(served: Deployment, headers: dict[str, str], taken: list[float]) -> int:
    """Tells how long each question took in milliseconds; returns how many failed."""
    client, failed = await LoadClient.connect(served.base_url), 0
    for number in range(QUESTIONS):
        question = encoded("/retrieve", {"query": f"When do wires of kind {number} leave?"}, headers)
        started = time.perf_counter()
        status, _ = await client.exchange(question)
        taken.append((time.perf_counter() - started) * 1000)
        failed += status != httpx.codes.OK
    client.close()
    return failed


async def _watch(served: Deployment, path: str, taken: list[float]) -> None:
    """Asks a probe's question ten times a second until it is cancelled; a failure takes for ever."""
    client = await LoadClient.connect(served.base_url)
    while True:
        started = time.perf_counter()
        status, _ = await client.exchange(framed("GET", path, {}))
        taken.append((time.perf_counter() - started) * 1000 if status == httpx.codes.OK else float("inf"))
        await asyncio.sleep(0.1)


async def _be_refused(served: Deployment, request: bytes, taken: list[float]) -> None:
    """Sends what the flood sends as one more client of its tenant, until it is cancelled; tells how long each refusal took."""
    client: LoadClient | None = None
    for number in itertools.count(_NO_SEAT):
        started = time.perf_counter()
        try:
            client = client or await LoadClient.connect(served.base_url)
            status, _ = await client.exchange(request.replace(COUNTER, b"%08d" % number))
        except (OSError, EOFError):  # a refused upload is hung up on before all of it was sent
            client = None
            continue
        if status in REFUSED:
            taken.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(_PAUSE_SECONDS)


@dataclass
class FairnessFigures:
    """What was measured in all rounds; times in milliseconds."""

    alone: list[float] = field(default_factory=list)
    beside_generator: list[float] = field(default_factory=list)
    flooded: list[float] = field(default_factory=list)
    refusals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    healthy: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    failed_alone: int = 0
    failed: int = 0
    flood: Flooded = field(default_factory=Flooded)
    crowd: Flooded = field(default_factory=Flooded)

    def figures(self) -> dict[str, object]:
        """Returns what is printed and kept."""
        return {
            "p50_alone": p50(self.alone), "p99_alone": p99(self.alone), "failed_alone": self.failed_alone,
            "p50_generator": p50(self.beside_generator), "p99_generator": p99(self.beside_generator),
            "p50_flooded": p50(self.flooded), "p99_flooded": p99(self.flooded), "failed": self.failed,
            "p99_health": p99(self.healthy), "p99_ready": p99(self.ready),
            "flood": dict(self.flood.statuses), "flood_seconds": self.flood.seconds, "broken": self.flood.broken,
            "crowd": dict(self.crowd.statuses), "offered": self.crowd.offered, "p99_refusal": self.p99_refusal,
            **{f"p99_refusal_of_{kind}": _told(taken) for kind, taken in self.refusals.items()},
        }  # fmt: skip

    @property
    def p99_refusal(self) -> float | str:
        """Of all kinds together, and "none" where nothing was refused."""
        return _told([taken for kind in self.refusals.values() for taken in kind])


def _told(taken: Sequence[float]) -> float | str:
    return p99(taken) if taken else "none"


@contextmanager
def _resting(pid: int) -> Iterator[None]:
    """Stops the worker while the block runs: what a flood left it to do is not done while another tenant is alone."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _meanwhile(*watching: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs these while the block does; one that breaks off breaks the measurement."""
    tasks = [asyncio.create_task(watch) for watch in watching]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _settled(served: Deployment) -> None:
    """Waits until the service does nothing any more."""
    ends = time.monotonic() + _MOST_SECONDS
    used = _processor_seconds(served.process.pid)
    while time.monotonic() < ends:
        await asyncio.sleep(1)
        before, used = used, _processor_seconds(served.process.pid)
        if used - before < _IDLE:
            return
    raise RuntimeError("the service does not come to rest")


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _crowd(
    served: Deployment, seats: Sequence[list[bytes]], kinds: Sequence[str], found: FairnessFigures
) -> None:
    """Measures refusals and probes while all seats ask."""
    one_more = [_be_refused(served, request, found.refusals[kind]) for kind, request in _by_kind(seats[0], kinds)]
    probes = [_watch(served, "/health", found.healthy), _watch(served, "/ready", found.ready)]
    with flooding(served.base_url, seats) as crowd:
        await asyncio.sleep(2)
        async with _meanwhile(*probes, *one_more):
            await asyncio.sleep(_CROWDED_SECONDS)
    found.crowd.add(crowd)


def _by_kind(requests: Sequence[bytes], kinds: Sequence[str]) -> list[tuple[str, bytes]]:
    return list(zip((kind for kind in KINDS if kind in kinds), requests, strict=True))


async def measure(rounds: int, kinds: Sequence[str]) -> dict[str, object]:
    """Returns the figures of quiet rounds, of rounds beside the load generator alone, and of flooded ones."""
    found = FairnessFigures()
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as temporary, refusing_everything() as nowhere:
        folder = Path(temporary) / "fairness"
        async with deployment(folder) as served, worker(served, folder) as working:
            quiet, loud = await _fill(served, "quiet"), await _fill(served, "loud")
            seats = [_heavy(loud, seat, kinds) for seat in range(CROWD)]
            await _ask(served, quiet["analyst"], [])  # warms up
            for _ in range(rounds):
                await _settled(served)
                with _resting(working):
                    found.failed_alone += await _ask(served, quiet["analyst"], found.alone)
                    with flooding(nowhere, seats[:FLOOD]):
                        await asyncio.sleep(1)
                        await _ask(served, quiet["analyst"], found.beside_generator)
                probes = [_watch(served, "/health", found.healthy), _watch(served, "/ready", found.ready)]
                with flooding(served.base_url, seats[:FLOOD]) as flood:
                    await asyncio.sleep(2)
                    async with _meanwhile(*probes):
                        found.failed += await _ask(served, quiet["analyst"], found.flooded)
                found.flood.add(flood)
                await _crowd(served, seats, kinds, found)
    return found.figures()


def main() -> int:
    """Prints the figures, writes them as JSON, and returns 1 when a flood is felt more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of {QUESTIONS} questions each, quiet and flooded")
    parser.add_argument("--kind", choices=KINDS, help="of which alone the flood is")
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.rounds, [asked.kind] if asked.kind else KINDS))
    for name, value in found.items():
        print(f"{name:36} {value:.1f}" if isinstance(value, float) else f"{name:36} {value}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fairness.json").write_text(json.dumps(found, indent=2))
    return int(not _judged(found))


def _judged(found: Mapping[str, object]) -> bool:
    """Says how the other tenant fared, and tells whether all is as asked for; without a refusal nothing shows how soon one comes."""
    figures = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    ratio, generator = (figures[f"p99_{with_what}"] / figures["p99_alone"] for with_what in ("flooded", "generator"))
    print(f"the other tenant's p99 is {ratio:.2f} of its own without the flood (asked for: {MOST_RATIO:.1f})")
    print(f"beside the load generator alone, which floods another server, it is {generator:.2f}")
    probes = max(figures["p99_health"], figures["p99_ready"])
    held = (
        ratio <= MOST_RATIO, not figures["failed"], figures.get("p99_refusal", math.inf) <= MOST_REFUSAL,
        figures["offered"] >= LEAST_OFFERED, probes <= MOST_READY,
    )  # fmt: skip
    return all(held)


if __name__ == "__main__":
    sys.exit(main())

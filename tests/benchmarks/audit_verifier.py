"""How fast the offline verifier is on one core: events per second of CPU time, and how much memory it needs.

    python -m tests.benchmarks.audit_verifier [--events 1000000] [--compress]

Writes a bundle of events as the service records them (a retrieval, its prompt and its answer; every tenth turn a sign-in
and a reviewer's page), with a checkpoint for every 500, and runs the verifier's one file on it, as an auditor does.
Writes bench-results/audit_verifier.json.
"""

import argparse
import hmac
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import track
from rich.table import Table

from backend.audit.actions.answers import AnswerReturned, GivenAnswer, PromptSubmitted, SubmittedPrompt
from backend.audit.actions.retrieval import RecordedChunk, RecordedRetrieval, RetrievalExecuted
from backend.audit.actions.review import AuditRead, ReadFilters
from backend.audit.actions.sign_in import AuthSucceeded
from backend.audit.canonical import canonical_json
from backend.audit.events import Event, envelope
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import ROLE_PERMISSIONS, Role
from backend.ledger.bundle import BundleScope, BundleWriter
from backend.ledger.checkpoints import Checkpoint, SigningKey, log_origin
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.rounds import GrowingLog, hidden, proven, signed_round
from backend.ledger.verifier.single_file import single_file
from tests.benchmarks.deployment import RESULTS

START = datetime(2026, 10, 1, tzinfo=UTC)
PER_SECOND = 500
OTHERS = 49  # tenants that are sealed at once with this one
TARGET_PER_SECOND, TARGET_SECONDS = 80_000, 15

console = Console()
choice = random.Random(11)


def identifier(moment: datetime) -> UUID:
    """Returns a UUIDv7 of a moment."""
    noise = choice.getrandbits(74)
    stamp = int(moment.timestamp() * 1000)
    return UUID(int=stamp << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & (2**62 - 1))


def commitment(length: int) -> dict[str, Any]:
    """Returns the commitment to some text."""
    return {"commitment": hmac.digest(choice.randbytes(32), b"text", "sha256").hex(), "bytes": length}


def turn(caller: Caller, moment: datetime, number: int) -> Iterator[tuple[UUID, Event, dict[str, Any]]]:
    """Yields the events of one question: what was found, what was asked of the model, and what it said."""
    turn_id, retrieved = identifier(moment), identifier(moment)
    chunks = [
        RecordedChunk(
            id=identifier(START), doc_id=f"handbook-{choice.randrange(2000)}", version=1 + rank % 3,
            sha256=choice.randbytes(32).hex(), rank=rank, score_micros=choice.randrange(4_000_000), used=True,
        )
        for rank in range(1, 6)
    ]  # fmt: skip
    retrieval = RecordedRetrieval(
        mode="hybrid", k=5, filtered=False, as_of=moment, chunk_count=5, chunks=chunks,
        embedding_model="all-MiniLM-L6-v2-int8", index="exact:seq", milliseconds=9,
    )  # fmt: skip
    texts = {name: commitment(choice.randrange(20, 5000)) for name in ("query", "contexts", "term_weights")}
    yield retrieved, Event(RetrievalExecuted(retrieval=retrieval)), texts
    asked = SubmittedPrompt(
        template="answer-3", template_sha256="5e" * 32, model="gpt-oss-20b", retrieval=retrieved,
        parameters={"max_tokens": 800, "seed": 7}, chunks=[chunk.id for chunk in chunks],
    )  # fmt: skip
    texts = {name: commitment(choice.randrange(20, 9000)) for name in ("question", "system_prompt", "user_prompt")}
    yield turn_id, Event(PromptSubmitted(turn=turn_id, prompt=asked)), texts
    answered = GivenAnswer(
        template="answer-3", model_requested="gpt-oss-20b", model_served="gpt-oss-20b", finish_reason="stop",
        parameters={"max_tokens": 800, "seed": 7}, prompt_tokens=choice.randrange(3000),
        completion_tokens=choice.randrange(500), citations=[chunk.id for chunk in chunks[:2]], dropped_sentences=0,
        milliseconds=9,
    )  # fmt: skip
    texts = {name: commitment(choice.randrange(20, 3000)) for name in ("question", "answer", "completion")}
    event = Event(AnswerReturned(turn=turn_id, answer=answered))
    yield identifier(moment), event, texts
    if number % 10 == 0:
        yield identifier(moment), Event(AuthSucceeded(method="password")), {}
        yield identifier(moment), Event(AuditRead(filters=ReadFilters(), returned=50)), {}


def envelopes(tenant: UUID) -> Iterator[str]:
    """Yields the envelopes of a busy tenant's log without end."""
    callers = [
        Caller(
            tenant, "bench", identifier(START), "user", f"user-{number}", "", roles=(role,),
            permissions=frozenset(ROLE_PERMISSIONS[role]), readable=frozenset(identifier(START) for _ in range(2)),
            session_id=identifier(START), source_address=f"10.0.{number}.7",
        )
        for number, role in enumerate([Role.ANALYST] * 30 + [Role.APPROVER] * 5 + [Role.COMPLIANCE] * 5)
    ]  # fmt: skip
    count, number = 0, 0
    while True:
        caller = replace(choice.choice(callers), request_id=str(identifier(START)))
        moment = START + timedelta(seconds=count / PER_SECOND)
        for event_id, event, texts in turn(caller, moment, number):
            yield canonical_json(envelope(event_id, moment, caller, event, texts))
            count += 1
        number += 1


def round_of(checkpoint: Checkpoint, all_logs: GrowingLog, key: SigningKey) -> str:
    """Returns a checkpoint as it is proven among those of other tenants that were sealed at once."""
    others = [replace(checkpoint, origin=log_origin(key.name, str(number))) for number in range(OTHERS)]
    texts = [hidden(one) for one in (*others, checkpoint)]
    leaves = [all_logs.append(identifier(START), text.encode()) for text in texts]
    signed = replace(checkpoint, origin=log_origin(key.name, "checkpoints"))
    signed = replace(signed, size=all_logs.frontier.size, root=all_logs.frontier.root())
    note = signed_round(signed, all_logs.leaves[0][2], key)
    return proven(texts[-1], leaves[-1], all_logs.proof(leaves[-1]), note)


def write(path: Path, events: int, *, compress: bool) -> tuple[str, int]:
    """Writes a sealed log as a bundle; returns the public key and the bytes of its envelopes."""
    key, tenant, frontier, size = SigningKey.generate("bench"), identifier(START), Frontier(), 0
    end = START + timedelta(seconds=events / PER_SECOND)
    scope = BundleScope(str(tenant), START, end, range(events), Frontier())
    notes, all_logs = [], GrowingLog(Frontier())
    with path.open("wb") as file, BundleWriter(file, scope, compress=compress) as bundle:
        log = zip(range(events), envelopes(tenant), strict=False)
        for leaf, text in track(log, "writing", total=events, console=console):
            bundle.add_event(leaf, text)
            frontier.append(leaf_hash(text.encode()))
            size += len(text)
            if (leaf + 1) % PER_SECOND == 0 or leaf + 1 == events:
                signed_at = int(START.timestamp() * 1000) + (leaf + 1) * 1000 // PER_SECOND + 1000
                checkpoint = Checkpoint(log_origin(key.name, str(tenant)), leaf + 1, frontier.root(), signed_at)
                notes.append(round_of(checkpoint, all_logs, key))
        for note in notes:
            bundle.add_checkpoint(note)
    return str(key.verifier_key), size


def measure(path: Path, key: str) -> dict[str, float]:
    """Verifies with the file alone, as another process; returns its seconds, CPU seconds and peak memory."""
    alone = path.with_name("verifier.py")
    alone.write_text(single_file())
    command = [sys.executable, "-I", str(alone), str(path), "--key", key]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    console.print(found.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(took, 2), "cpu_seconds": round(cpu, 2), "peak_mib": after.ru_maxrss // 1024}


def report(results: dict[str, Any]) -> None:
    """Prints the figures beside those asked and stores them."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audit_verifier.json").write_text(json.dumps(results, indent=2))
    table = Table(
        "figure", "measured", "asked", title=f"{results['events']:,} events of {results['bytes_per_event']} bytes"
    )
    table.add_row("events per second of processor time", f"{results['per_second']:,}", f">= {TARGET_PER_SECOND:,}")
    table.add_row("seconds", f"{results['seconds']:,}", f"< {TARGET_SECONDS} for 1,000,000")
    table.add_row("processor seconds", f"{results['cpu_seconds']:,}", "")
    table.add_row("peak memory, MiB", f"{results['peak_mib']:,}", "constant")
    table.add_row("size of the bundle, MiB", f"{results['bundle_mib']:,}", "")
    console.print(table)


def main() -> None:
    """Measures, prints and stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--compress", action="store_true", help="deflate the bundle")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        path = Path(folder) / "bundle.zip"
        key, size = write(path, options.events, compress=options.compress)
        measured = measure(path, key)
        report(
            {
                "events": options.events, "bytes_per_event": size // options.events, "compressed": options.compress,
                "per_second": round(options.events / measured["cpu_seconds"]), **measured,
                "bundle_mib": path.stat().st_size >> 20,
            }
        )  # fmt: skip


if __name__ == "__main__":
    main()

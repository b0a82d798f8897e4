"""Real filings, one tenant per company: ingested by `affidavit ingest`, asked about by their owner and by others.

    python -m tests.benchmarks.filings [COMPANY…] [--folder FOLDER]

With `--folder`, what was ingested is kept there, and a run that was stopped goes on with the next company.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.deployment import PASSWORD, RESULTS, ROOT, SHARED_DATA, Deployment, deployment, worker
from tests.benchmarks.quality import Notes

FILINGS = SHARED_DATA / "financebench"


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FILINGS / name).read_text().splitlines()]


def slug_of(company: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", company.lower())


def filings() -> dict[str, list[Path]]:
    """The files of each company."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for page in lines("documents.jsonl"):
        found[page["metadata"]["tenant"]][page["metadata"]["pdf"]] = FILINGS / "pdfs" / page["metadata"]["pdf"]
    return {company: sorted(paths.values()) for company, paths in found.items()}


def file_of(found: dict[str, Any]) -> str:
    """The file of a context or citation: documents are called by their folder as well."""
    return str(found["doc_id"]).rpartition("/")[2]


def peak_memory(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split(":")[1].strip() for line in status.splitlines() if line.startswith("VmHWM"))


def processor_seconds(pid: int) -> float:
    """Of a process and those that it has waited for, which read the files."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


async def ingest(running: Deployment, slug: str, paths: list[Path]) -> bool:
    command = [sys.executable, "-m", "backend", "ingest", *map(str, paths), "--tenant", slug, "--username", "editor"]
    process = await asyncio.create_subprocess_exec(
        *command, "--url", running.base_url, cwd=ROOT, env={**os.environ, "AFFIDAVIT_PASSWORD": PASSWORD}
    )
    return await process.wait() == 0


class Company:
    """A company's analyst."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers
        self.count = self.pages = 0

    async def get(self, path: str, **params: Any) -> Any:
        return (await self.client.get(path, params=params, headers=self.headers)).raise_for_status().json()

    async def ask(self, path: str, **body: Any) -> Any:
        return (await self.client.post(path, json=body, headers=self.headers)).raise_for_status().json()

    async def count_chunks(self) -> None:
        for document in (await self.get("/documents", limit=500))["documents"]:
            version = f"/documents/{document['id']}/versions/1"
            self.count += len((await self.get(version))["chunks"])
            self.pages += (await self.get(f"{version}/pages/1"))["page_count"]


async def owners_questions(tenants: dict[str, Company]) -> dict[str, int]:
    """Counts the questions whose page is retrieved, and whose citation then opens on that page."""
    counts: defaultdict[str, int] = defaultdict(int)
    for question in lines("queries.jsonl"):
        tenant = tenants.get(question["metadata"]["company"])
        if tenant is None:
            continue
        gold = {(name, int(page) + 1) for name, page in (g.rsplit("::p", 1) for g in question["relevant_doc_ids"])}
        contexts = (await tenant.ask("/retrieve", query=question["question"], k=10))["contexts"]
        counts["asked"] += 1
        for context in contexts:
            pages = range(context["page_start"], context["page_end"] + 1)
            page = next((p for name, p in gold if f"{name}.pdf" == file_of(context) and p in pages), None)
            if page is not None:
                counts["gold page in the first 10"] += 1
                version = f"/documents/{context['document_id']}/versions/{context['document_version']}"
                shown = await tenant.get(f"{version}/pages/{page}")
                counts["citation opens on it"] += context["chunk_text"] in shown["text"]
                shown = await tenant.get(context["link"])
                counts["its link opens where it begins"] += context["chunk_text"] in shown["text"]
                break
    return dict(counts)


async def probes(tenants: dict[str, Company]) -> dict[str, int]:
    """Counts how others are answered who ask about what only the owner has."""
    counts: defaultdict[str, int] = defaultdict(int)
    for probe in lines("isolation_probes.jsonl"):
        tenant = tenants.get(probe["ask_as_tenant"])
        if tenant is None:
            continue
        forbidden = {name.rsplit("::p", 1)[0] + ".pdf" for name in probe["forbidden_doc_ids"]}
        answer = await tenant.ask("/answer", question=probe["question"])
        contexts = (await tenant.ask("/retrieve", query=probe["question"], k=100))["contexts"]
        shown = {file_of(found) for found in (*contexts, *answer["citations"])}
        counts["asked"] += 1
        counts["refused"] += answer["refused"]
        counts["showed something of the owner"] += bool(shown & forbidden)
    return dict(counts)


async def ingested(running: Deployment, notes: Notes, chosen: Sequence[str], folder: Path) -> dict[str, Any]:
    """Ingests the filings of each company unless that was done; returns what it took to ingest those of this run."""
    done = {company for company, _ in notes.known("ingested")}
    started, failed = time.perf_counter(), 0
    async with worker(running, folder) as pid:
        for company, paths in filings().items():
            if company not in done and (not chosen or company in chosen):
                await running.tenant(slug_of(company))
                failures = not await ingest(running, slug_of(company), paths)
                failed += failures
                notes.add("ingested", (company, failures))
        return {
            "worker's processor seconds": round(processor_seconds(pid)),
            "seconds to ingest": round(time.perf_counter() - started),
            "worker's peak memory": peak_memory(pid),
            "companies with a failure": failed,
        }


async def main(chosen: Sequence[str], kept: Path | None) -> None:
    """Prints what was found, and writes it as JSON."""
    with tempfile.TemporaryDirectory(prefix="affidavit-filings-") as made:
        notes = Notes(kept or Path(made))
        folder = notes.folder / "deployment"
        async with deployment(folder, keep=kept is not None) as running, running.client() as client:
            results = await ingested(running, notes, chosen, folder)
            tenants = {}
            for company, _ in notes.known("ingested"):  # their tokens would end before a long ingestion
                tenants[company] = Company(client, await running.sign_in(client, slug_of(company), "analyst"))
                await tenants[company].count_chunks()
            results["pages"] = sum(tenant.pages for tenant in tenants.values())
            results["chunks"] = sum(tenant.count for tenant in tenants.values())
            results["questions of owners"] = await owners_questions(tenants)
            results["questions of others"] = await probes(tenants)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "filings.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("companies", nargs="*", help="none means all")
    parser.add_argument("--folder", type=Path, help="where the database is kept; unset means that it is removed")
    options = parser.parse_args()
    asyncio.run(main(options.companies, options.folder))

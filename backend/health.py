"""Whether the process lives, whether it can do its job, and which code it is."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal

import asyncpg
import structlog
from fastapi import APIRouter
from pydantic import Field
from uuid_utils.compat import uuid7

from backend import metrics
from backend.database import Pool, reachable
from backend.errors import Unavailable
from backend.http_server import draining
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.provenance import VERSION, code
from backend.provided import Provided
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable
from backend.retrieval.embedding.fingerprint import WatchedEmbedder
from backend.schema import ApiModel
from backend.self_check import (
    CheckResult,
    SealerWatch,
    SelfCheck,
    check_clocks,
    check_conditions,
    check_context,
    check_sealer,
)
from backend.shipped import newest_revision
from backend.tenancy import Claims, Tenancy

log = structlog.get_logger()

router = APIRouter(tags=["operation"], route_class=GuardedRoute)

EMBEDDER_SECONDS = 2.0  # how long an embedding server may take to be known again
CHECKED_EVERY_SECONDS = 2.0
STALE_SECONDS = 15.0  # how old a check may be that is told
EXHAUSTED_SECONDS = 5.0  # in which a request gets a connection, however many wait: they are lent in turn


class Health(ApiModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


@router.get("/health", summary="Is the process alive")
async def health() -> Health:
    """Answers without touching anything."""
    return Health()


class Readiness(ApiModel):
    """The service answers requests; `warnings` names the checks of `affidavit doctor` that somebody should look at."""

    status: Literal["ok"] = "ok"
    warnings: list[str] = Field(default=[], examples=[["sealer"]])
    away: list[str] = Field(
        default=[], description="Of a process that serves several cells: those that it cannot serve now.", examples=[["eu-2"]]
    )  # fmt: skip


@dataclass
class Probe:
    """Asks the database again and again whether this process can serve, over a connection of its own.

    Who wants to know is told what the last check found: neither waits for the other, nor for requests. Of a check that is too
    long ago nothing is told. A flood is no reason to serve nobody; connections that nobody gives back are one.
    """

    tenancy: Tenancy
    requests: Pool
    self_check: SelfCheck
    conditions: bool  # whether an answer needs that no condition comes before a policy
    embedder: Embedder
    sealer: SealerWatch  # told what every check sees of the sealer
    cell: str = ""  # of a process that serves several
    _found: Readiness | Unavailable | None = None
    _checked_at: float = -math.inf
    _has_passed: bool = False

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Checks while the block runs."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def readiness(self) -> Readiness:
        """Returns what the last check found; raises Unavailable, also when it is too long ago and while the process ends."""
        if draining.is_set():
            raise Unavailable("The service is about to stop.", reason="draining")
        if self._found is None or time.monotonic() - self._checked_at > STALE_SECONDS:
            raise Unavailable("Whether the service can serve is not known.", reason="self_check:stale")
        if isinstance(self._found, Unavailable):
            raise Unavailable(self._found.detail, reason=self._found.reason)
        return self._found

    def refuse_unsound(self) -> None:
        """Raises Unavailable unless a self-check has passed, and the last one found no fault but that the database was away."""
        unsound = isinstance(self._found, Unavailable) and (self._found.reason or "").startswith("self_check:")
        if unsound or not self._has_passed:
            raise Unavailable(reason=self._found.reason if isinstance(self._found, Unavailable) else "self_check:none")

    async def check(self) -> None:
        """Asks the database now, and keeps what it says."""
        try:
            self._found = await self._check()
            self._has_passed = True
        except Unavailable as error:
            self._found = error
        self._checked_at = time.monotonic()
        if self.cell:
            metrics.CELL_READY.labels(self.cell).set(isinstance(self._found, Readiness))

    async def _watch(self) -> None:
        while True:
            try:
                await self.check()
            except Exception:  # what is known grows stale
                log.exception("readiness not checked")
            await asyncio.sleep(CHECKED_EVERY_SECONDS)

    async def _check(self) -> Readiness:
        try:
            # Bound to a context, as the transactions of requests are: what keeps those from working makes this fail too.
            async with self.tenancy.transaction(Claims(request_id=str(uuid7()))) as connection:
                findings = [await check_clocks(connection), *await self.self_check.findings(connection)]
                if self.conditions:
                    findings.append(await check_conditions(connection))
                findings.append(await check_context(connection))
                problems = [finding for finding in findings if finding.problem]
                warnings: list[CheckResult] = []
                if not problems:
                    self.sealer.last = await check_sealer(connection)
                    warnings.append(self.sealer.last)
            if not problems:
                async with reachable(self.requests, timeout=EXHAUSTED_SECONDS):
                    pass
            if isinstance(self.embedder, WatchedEmbedder) and not problems:
                warnings.append(CheckResult("embedding model", await _embedder_problem(self.embedder)))
        except asyncpg.PostgresError as error:
            raise Unavailable("The database does not answer the self-check.", reason="self_check") from error
        if problems:
            # What is wrong with the database is for who may log in to it; clocks and addresses are its own matter.
            told = next(
                (p.problem for p in problems if p.check in {"clocks", "context", "writes"}), "run `affidavit doctor`"
            )
            raise Unavailable(f"The self-check failed: {told}.", reason=f"self_check:{problems[0].check}")
        return Readiness(warnings=[finding.check for finding in warnings if finding.problem])


@dataclass
class ProcessReadiness:
    """Whether a process can serve: its only database, or at least one of several cells."""

    probes: dict[str, Probe] = field(default_factory=dict)

    def readiness(self) -> Readiness:
        """Returns what the last checks found, with the cells that are away; raises Unavailable where all are."""
        found, away, problem = [], [], None
        for name, probe in self.probes.items():
            try:
                found.append((name, probe.readiness()))
            except Unavailable as error:
                away.append(name)
                problem = error
        if problem is not None and (len(self.probes) == 1 or not found):
            raise problem
        if len(self.probes) == 1:
            return found[0][1]
        return Readiness(warnings=[f"{name}: {warning}" for name, one in found for warning in one.warnings], away=away)


async def _embedder_problem(embedder: WatchedEmbedder) -> str | None:
    """Says why questions find nothing by their meaning; the log can be read and documents can be approved all the same."""
    try:
        async with asyncio.timeout(EMBEDDER_SECONDS):
            await embedder.verify()
    except (EmbedderUnavailable, TimeoutError) as error:
        return str(error)
    return None


@router.get("/ready", summary="Can it serve")
async def ready(process: Provided[ProcessReadiness]) -> Readiness:
    """Answers 200 only when the database passed the last self-check, seconds ago; otherwise 503, also without a check of late.

    It warns when events are not being sealed, and when the embedding server is away or answers with another model than it did.
    Requests are answered while nobody seals: what they record is sealed later, and until then has no proof.
    """
    return process.readiness()


class Version(ApiModel):
    """Which code answers."""

    version: str = Field(description="The release.", examples=["0.2.0"])
    code: str = Field(
        description="The release and the head of a SHA-256 over its sources, as every event names it.",
        examples=["0.2.0+1f0c3a5b7d9e2468"],
    )
    revision: str = Field(description="The revision of the schema that this code was written for.", examples=["0012"])


@router.get("/version", summary="Which code answers")
async def version(_: Annotated[Caller, Requires()]) -> Version:
    """Tells signed-in callers the release, its sources' digest and its schema's revision."""
    return Version(version=VERSION, code=code(), revision=newest_revision())

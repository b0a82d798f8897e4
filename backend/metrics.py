"""What the service measures of itself, in Prometheus's form, on a port of its own.

A label has few values, all of them ours: never a name, a text or an id of a tenant. Requests leave their id as an exemplar.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import mark_process_dead

from backend import tracing
from backend.exemplars import AllProcesses, ExemplarFile

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by the library when it is imported
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REASON = re.compile(r"[a-z_]+(:[a-zA-Z_]+)?")

# The label `cell` is empty, and so none, but in a process that serves several cells.
REQUESTS = Counter("affidavit_requests", "Requests that were answered.", ["method", "route", "status", "cell"])
REQUEST_SECONDS = Histogram("affidavit_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS)
STAGE_SECONDS = Histogram("affidavit_stage_seconds", "Time that a stage took.", ["stage"], buckets=_SECONDS)
REFUSED = Counter("affidavit_refused", "Requests that were refused.", ["code", "reason", "cell"])
ANSWERS = Counter("affidavit_answers", "Questions by what became of them.", ["outcome", "reason"])
TASKS = Counter("affidavit_background_tasks", "Tasks of chat interfaces, such as titles, that got a fixed reply.")
SENTENCES = Counter("affidavit_sentences", "Sentences of answers by what supports them, or `dropped`.", ["support"])
TOKENS = Counter(
    "affidavit_model_tokens", "Tokens of model servers, as answers' records count them.", ["model", "direction"]
)
COST = Counter("affidavit_model_cost_micros", "What they cost, in millionths of the configured currency.", ["model"])
PASSED_ON = Counter("affidavit_passed_on", "Requests that were passed on to another cell.", ["cell"])
OPEN_TURNS = Gauge("affidavit_open_turns", "Questions being answered.", multiprocess_mode="livesum")
CONNECTIONS = Gauge("affidavit_connections_in_use", "Database connections lent.", multiprocess_mode="livesum")
CONNECTION_SECONDS = Histogram(
    "affidavit_connection_wait_seconds", "Time to get a database connection.", buckets=_SECONDS
)
RUNNING = Gauge("affidavit_admission_running", "Requests that were admitted.", ["lane"], multiprocess_mode="livesum")
WAITING = Gauge("affidavit_admission_waiting", "Requests that wait for a turn.", ["lane"], multiprocess_mode="livesum")
JOBS_DONE = Counter("affidavit_jobs_ended", "Jobs that a worker ended or put back.", ["kind", "outcome"])
SOURCE_RUNS = Counter("affidavit_source_runs", "Runs of sources, by how they ended.", ["outcome"])
WEBHOOKS = Counter("affidavit_webhook_attempts", "Attempts to deliver webhooks, by what came of them.", ["outcome"])
WEBHOOK_DUE = Gauge(
    "affidavit_webhook_due_seconds",
    "For how long the webhook has been due that waits longest.",
    multiprocess_mode="livemax",
)
WARNINGS = Counter("affidavit_ingestion_warnings", "What parsers left out of files that became versions.", ["kind"])
BUILD = Gauge("affidavit_build", "The code that runs; always 1.", ["version", "code"], multiprocess_mode="livemax")

CELL_READY = Gauge(
    "affidavit_cell_ready", "1 while a cell passes its checks; of a process of several.", ["cell"], multiprocess_mode="livemin"
)  # fmt: skip

log = structlog.get_logger()
_beside = ExemplarFile(Path(os.environ[_FOLDER])) if _FOLDER in os.environ else None
_cell: ContextVar[str] = ContextVar("cell", default="")


@contextmanager
def serving(cell: str) -> Iterator[None]:
    """Counts what happens in the block for a cell."""
    token = _cell.set(cell)
    try:
        yield
    finally:
        _cell.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measures how long the block takes, also when it fails."""
    started = time.perf_counter()
    try:
        with tracing.stage(name):
            yield
    finally:
        _observed(STAGE_SECONDS, name, time.perf_counter() - started, _exemplar())


def answered(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """Counts one request."""
    REQUESTS.labels(method if method in _METHODS else "other", route, str(status), _cell.get()).inc()
    _observed(REQUEST_SECONDS, route, seconds, {"request_id": request_id, **tracing.ids()})
    if _beside is not None:
        _beside.leave()


def refused(code: str, reason: str | None) -> None:
    """Counts a refusal by the head of its reason: what follows can be a time, or come from another server."""
    head = _REASON.match(reason or "")
    REFUSED.labels(code, head.group() if head else "none", _cell.get()).inc()


def _observed(histogram: Histogram, label: str, seconds: float, ids: dict[str, str] | None) -> None:
    histogram.labels(label).observe(seconds, ids)
    if ids and _beside is not None:
        _beside.note(histogram._name, label, seconds, ids, _SECONDS)  # noqa: SLF001 - the library tells it nowhere else


def _exemplar() -> dict[str, str] | None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {"request_id": request_id, **tracing.ids()} if request_id else None


@contextmanager
def exposed(host: str, port: int | None, *, processes: int = 1) -> Iterator[None]:
    """Shows the measures at a port while the block runs; those of all worker processes, when there are several.

    Without a port nothing is shown. Raises OSError, which names the port, when it is taken.
    """
    if port is None:
        yield
        return
    folder = tempfile.mkdtemp(prefix="affidavit-metrics-") if processes > 1 else None
    registry = REGISTRY
    if folder is not None:
        os.environ[_FOLDER] = folder  # worker processes are made anew, and import the library after this
        registry = CollectorRegistry()
        registry.register(AllProcesses(Path(folder)))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"port {port} for metrics") from None
    log.info("metrics", port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        if folder is not None:
            del os.environ[_FOLDER]
            shutil.rmtree(folder, ignore_errors=True)


def forget_process(pid: int) -> None:
    """Takes out of the sums the requests that a process had not finished when it ended."""
    if folder := os.environ.get(_FOLDER):
        with suppress(OSError):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]

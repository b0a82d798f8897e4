"""Traces, as a collector receives them: what belongs together, and no word of what anyone said."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.stdlib import ProcessorFormatter

from backend import tracing
from backend.app import create_app
from backend.settings.serving import ServingSettings
from tests import factories
from tests.answers import model_server
from tests.answers.model_server import ModelServer, failing, saying
from tests.listening import serving
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
DOCUMENT = "Xylophone wires cost 25 USD."
QUESTION = "What do xylophone wires cost?"
COMPLETION = f"{DOCUMENT} [1]"


@dataclass
class Collector:
    """A collector on a port of its own, and what it was sent."""

    url: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(span: Span) -> dict[str, Any]:
    """What a span says, by name."""
    said = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        said[pair.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return said


@dataclass
class Traced:
    """What was traced of a busy minute, what the model server was told, and the tenant."""

    collector: Collector
    server: ModelServer
    tenant: Tenant
    partner: str


@pytest.fixture(scope="module")
async def traced(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Traced]:
    with collecting() as collector, model_server.running() as server:
        changed = {"otlp_url": collector.url, "model_url": server.url, "model_name": "test-model"}
        async with running(settings_for(database, run_secrets, model_home, **changed), database) as service:
            tenant = await service.create_tenant()
            await factories.ingest(service, tenant, "xylophones", DOCUMENT)
            server.reply = saying(COMPLETION)
            from_elsewhere = {"traceparent": TRACEPARENT, "tracestate": "vendor=secret", "baggage": "who=abercrombie"}
            for path, body in (
                ("/retrieve", {"query": QUESTION}),
                ("/answer", {"question": QUESTION}),
                ("/answer", {"question": QUESTION, "stream": True}),
            ):
                headers = await service.as_user(tenant, "analyst") | from_elsewhere
                answer = await service.client.post(path, json=body, headers=headers)
                assert answer.status_code == 200, answer.text
            server.reply = failing(500)
            failed = await service.post("/answer", tenant, "analyst", {"question": QUESTION})
            assert failed.status_code == 503
            assert (await service.get(f"/jobs/{uuid4()}", tenant, "editor")).status_code == 404
            await factories.ingested(service, tenant, "wires.md", b"# Wires\n\nXylophone wires leave before noon.")
        yield Traced(collector, server, tenant, tenant.partner_key)


async def test_a_request_goes_on_with_the_trace_that_it_names(traced: Traced) -> None:
    (span,) = traced.collector.named("POST /retrieve")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, PARENT, Span.SPAN_KIND_SERVER)
    said = attributes(span)
    assert said.pop("affidavit.request_id")
    assert said == {"http.request.method": "POST", "http.route": "/retrieve", "http.response.status_code": 200}
    parts = {part.name for part in traced.collector.spans if part.parent_span_id == span.span_id}
    assert parts == {"embed", "search", "record"}


async def test_a_request_without_a_trace_begins_one(traced: Traced) -> None:
    (span,) = (each for each in traced.collector.spans if attributes(each).get("http.response.status_code") == 404)
    assert span.name == "GET /jobs/{job_id}"
    assert span.trace_id.hex() != TRACE
    assert not span.parent_span_id
    assert not span.status.code, "a client's error is none of the service"


async def test_a_models_answer_is_told_as_the_conventions_name_it(traced: Traced) -> None:
    answered = [span for span in traced.collector.named("chat test-model") if not span.status.code]
    assert len(answered) == 2
    for span in answered:
        said = attributes(span)
        assert said.pop("server.port") == int(traced.server.url.split(":")[2].split("/")[0])
        assert said == {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "test-model",
            "gen_ai.request.max_tokens": 1024, "gen_ai.response.model": model_server.MODEL_SERVED,
            "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 321,
            "gen_ai.usage.output_tokens": 12, "server.address": "127.0.0.1",
        }  # fmt: skip
        assert (span.trace_id.hex(), span.kind) == (TRACE, Span.SPAN_KIND_CLIENT)


async def test_a_model_server_is_told_the_span_and_nothing_else_of_what_the_client_said(traced: Traced) -> None:
    told = [headers["traceparent"].split("-") for headers in traced.server.headers]
    asked = {(span.trace_id.hex(), span.span_id.hex()) for span in traced.collector.named("chat test-model")}
    assert {(trace, span) for _, trace, span, _ in told} == asked
    assert {name for headers in traced.server.headers for name in headers} & {"tracestate", "baggage"} == set()


async def test_a_failure_is_told_by_its_type(traced: Traced) -> None:
    (failed,) = [span for span in traced.collector.named("chat test-model") if span.status.code]
    assert attributes(failed)["error.type"] == "GeneratorUnavailable"
    assert not failed.events, "a message can hold what was asked"
    broken = [span for span in traced.collector.named("POST /answer") if span.status.code]
    assert [span.trace_id for span in broken] == [failed.trace_id]


async def test_a_job_is_a_trace_of_its_own(traced: Traced) -> None:
    (job,) = traced.collector.named("job document:ingest")
    assert attributes(job) == {"affidavit.job.kind": "document:ingest", "affidavit.job.attempt": 1}


async def test_no_text_no_name_and_nobody_is_in_a_trace(traced: Traced) -> None:
    sent = b"".join(request.SerializeToString() for request in traced.collector.requests)
    people = [str(user) for user in traced.tenant.users.values()]
    for forbidden in (
        "ylophone", "abercrombie", "vendor", traced.tenant.slug, str(traced.tenant.id), "analyst", "wires.md",
        traced.partner, *people,
    ):  # fmt: skip
        assert forbidden.encode() not in sent
    assert b"affidavit-api" in sent


async def test_what_the_framework_would_tell_of_requests_stays_untold(
    database: Database, run_secrets: Secrets, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI's own telemetry, which an environment variable turns on, sends bodies and the messages of exceptions."""
    with collecting() as collector:
        monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        app = create_app(settings_for(database, run_secrets, model_home))
        async with serving(app, lifespan="on") as address, httpx.AsyncClient(base_url=address) as client:
            assert (await client.get("/auth/me", headers={"traceparent": TRACEPARENT})).status_code == 401
    assert collector.requests == []


async def asked(service: Service, tenant: Tenant, *traceparents: str) -> dict[str, Any]:
    """The log line of a request with these headers."""
    written = StringIO()
    (handler,) = (each for each in logging.getLogger().handlers if isinstance(each.formatter, ProcessorFormatter))
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    logging.getLogger("backend").setLevel("INFO")
    try:
        authorization = ("Authorization", (await service.as_user(tenant, "analyst"))["Authorization"])
        headers = [authorization, *(("traceparent", value) for value in traceparents)]
        assert (await service.client.get("/auth/me", headers=headers)).status_code == 200
    finally:
        logging.getLogger("backend").setLevel("WARNING")
        handler.setStream(before or StringIO())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert all(line["event"] == "request" for line in lines), lines
    found: dict[str, Any] = lines[-1]
    return found


async def test_log_lines_name_the_trace_also_where_none_is_sent(service: Service, tenant: Tenant) -> None:
    assert (await asked(service, tenant, TRACEPARENT))["trace_id"] == TRACE
    assert "trace_id" not in await asked(service, tenant)


@pytest.mark.parametrize(
    "said",
    [
        (TRACEPARENT, TRACEPARENT),
        (f"00-{'0' * 32}-{PARENT}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"ff-{TRACE}-{PARENT}-01",),
        (f"00-{TRACE.upper()}-{PARENT}-01",),
        (f"cc-{TRACE}-{PARENT}-01-{'x' * 600}",),
        ("<script>",),
    ],
)
async def test_what_names_no_trace_is_passed_over(service: Service, tenant: Tenant, said: tuple[str, ...]) -> None:
    assert "trace_id" not in await asked(service, tenant, *said)


async def test_how_much_is_traced_is_not_for_clients_to_say(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    with collecting() as collector:
        settings = settings_for(database, run_secrets, model_home, otlp_url=collector.url, traced_share=0)
        async with running(settings, database) as service:
            assert (await service.client.get("/health", headers={"traceparent": TRACEPARENT})).status_code == 200
    assert collector.spans == []


async def test_a_collector_that_says_nothing_delays_nothing_but_the_stop_and_that_by_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and answers none
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(120), tracing.exported(ServingSettings(otlp_url=url), "api"):
            with tracing.request({"method": "GET", "headers": []}):
                pass
            silent.settimeout(0)
            with pytest.raises(BlockingIOError):
                silent.accept()  # who was asked waited for no export: that begins with the stop, or after seconds
    assert tracing._EXPORT_SECONDS == 5

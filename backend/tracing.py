"""Traces over OTLP: how long a request, a job or a model's answer took, and as a part of what.

A span holds routes, statuses, models and counts; never a text, a name, or the id of a tenant or a person. A request that names a
trace (`traceparent`, W3C Trace Context) goes on with it, log lines hold the trace's id, and model servers are told it. Whatever
else a client says of its trace (`tracestate`, `baggage`) is passed on to nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import httpx2
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope
from uuid_utils.compat import uuid7

from backend.provenance import VERSION
from backend.settings.serving import ServingSettings

_EXPORT_SECONDS = 5.0  # for one batch, and so the most by which a collector that is away delays a stop
_HEADER = b"traceparent"
_LONGEST_HEADER = 512  # what is longer, the library logs
_SERVER_ERRORS = 500

_propagator = TraceContextTextMapPropagator()
_silent: Tracer = NoOpTracer()
_tracer: Tracer = _silent


@asynccontextmanager
async def exported(settings: ServingSettings, role: str) -> AsyncIterator[None]:
    """Sends the spans of this process to the collector while the block runs; `role` is what the process does.

    Without a collector there are no spans, and only ids of traces that others began.
    """
    global _tracer  # noqa: PLW0603 - as with measures, what a process does is seen from everywhere in it
    if settings.otlp_url is None:
        yield
        return
    share = TraceIdRatioBased(settings.traced_share)
    provider = TracerProvider(
        sampler=ParentBased(share, remote_parent_sampled=share),  # how much is traced is not for clients to say
        resource=Resource.create(
            {"service.name": f"affidavit-{role}", "service.version": VERSION, "service.instance.id": str(uuid7())}
        ),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(f"{settings.otlp_url.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    before, _tracer = _tracer, provider.get_tracer("affidavit", VERSION)
    try:
        yield
    finally:
        _tracer = before
        await asyncio.to_thread(provider.shutdown)


@contextmanager
def request(scope: Scope) -> Iterator[Span]:
    """Measures a request; spans that begin in the block are parts of it."""
    parent = _parent(scope)
    if _tracer is _silent and parent is None:
        yield INVALID_SPAN
        return
    context = set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
    with _ended(_tracer.start_span(scope["method"], context, SpanKind.SERVER)) as span, _current(span):
        yield span


def answered(span: Span, method: str, route: str, status: int, request_id: str) -> None:
    """Says what became of a request."""
    if not span.is_recording():
        return
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {
            "http.request.method": method, "http.route": route, "http.response.status_code": status,
            "affidavit.request_id": request_id,
        }
    )  # fmt: skip
    if status >= _SERVER_ERRORS:
        span.set_status(Status(StatusCode.ERROR))


@contextmanager
def job(kind: str, attempt: int) -> Iterator[None]:
    """Measures a job of a worker; spans that begin in the block are parts of it."""
    attributes: dict[str, AttributeValue] = {"affidavit.job.kind": kind, "affidavit.job.attempt": attempt}
    span = _tracer.start_span(f"job {kind}", None, SpanKind.CONSUMER, attributes)
    with _ended(span), _current(span):
        yield


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measures a stage of what is current. A stage can begin in one task and end in another, so it never is current itself."""
    if _tracer is _silent:
        yield
        return
    with _ended(_tracer.start_span(name)):
        yield


@contextmanager
def model_call(operation: str, model: str, url: str, parameters: Mapping[str, AttributeValue]) -> Iterator[Span]:
    """Measures a call of a model server, by the names of OpenTelemetry's conventions for generative AI.

    `operation` is `chat` or `embeddings`; `parameters` are those that the conventions name. Requests that are made `asking`
    are parts of the span.
    """
    address = urlsplit(url)
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
        "server.address": address.hostname or "", **{f"gen_ai.request.{name}": value for name, value in parameters.items()},
    }  # fmt: skip
    if address.port is not None:
        attributes["server.port"] = address.port
    with _ended(_tracer.start_span(f"{operation} {model}", None, SpanKind.CLIENT, attributes)) as span:
        yield span


@contextmanager
def asking(span: Span) -> Iterator[None]:
    """Makes the requests of the block parts of a span; nothing may be yielded in it."""
    with _current(span):
        yield


async def tell(outgoing: httpx2.Request) -> None:
    """Tells a server, in a request, of which trace it is a part."""
    _propagator.inject(outgoing.headers)


def ids() -> dict[str, str]:
    """Returns the ids by which a log line or a measure is found from a trace; none where there is no trace."""
    current = get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    return {"trace_id": format_trace_id(current.trace_id), "span_id": format_span_id(current.span_id)}


def _parent(scope: Scope) -> SpanContext | None:
    """Returns which span of another process a request is a part of."""
    told = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
    if len(told) != 1 or len(told[0]) > _LONGEST_HEADER:
        return None
    context = get_current_span(_propagator.extract({_HEADER.decode(): told[0]})).get_span_context()
    return context if context.is_valid else None


@contextmanager
def _current(span: Span) -> Iterator[None]:
    with use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
        yield


@contextmanager
def _ended(span: Span) -> Iterator[Span]:
    """Ends the span with the block. Of an exception only the type is told: its message can hold what was asked."""
    try:
        yield span
    except (Exception, asyncio.CancelledError) as error:
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("error.type", type(error).__qualname__)
        raise
    finally:
        span.end()

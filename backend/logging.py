"""Structured JSON logs with request id and tenant; never a token, password, question or document text."""

import logging
import sys

import orjson
import structlog


def _dump(event: structlog.typing.EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


_transform_exception = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


class _FramesOnly:
    """Types and places of an exception and its causes; messages and locals can hold what was asked."""

    def __call__(self, exc_info: structlog.typing.ExcInfo) -> list[dict[str, object]]:
        return [
            {
                "type": stack["exc_type"],
                "frames": [f"{f['filename']}:{f['lineno']}:{f['name']}" for f in stack["frames"]],
            }
            for stack in _transform_exception(exc_info)
        ]


def configure(level: str = "INFO") -> None:
    """Sends the logs of the service and its libraries to standard error, one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_FramesOnly()),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dump),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries at DEBUG write out what they send and receive.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("backend").setLevel(level)
    # uvicorn's access log holds query strings, and httpx logs addresses; the service logs its own line a request.
    for name in ("uvicorn.access", "httpx", "httpcore", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True

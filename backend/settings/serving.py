"""Settings: how a process serves, stops and says what it does."""

from typing import Literal

from pydantic import BaseModel, Field


class ServingSettings(BaseModel):
    """How a process serves, stops and says what it does."""

    max_running_requests: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="How many short requests a process works on at once; others wait in turn by tenant.",
    )
    max_tenant_running_requests: int = Field(
        default=4,
        ge=1,
        le=1_000,
        description="How many of these may be one tenant's, so that others are served meanwhile.",
    )
    max_tenant_waiting_requests: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="How many requests of a tenant wait for their turn; more are answered 429 at once.",
    )
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, description="Largest request body accepted.")
    drain_seconds: float = Field(
        default=3.0, ge=0, le=300,
        description="How long the service still answers after SIGTERM, while /ready already says 503.",
    )  # fmt: skip
    stop_seconds: float = Field(
        default=15.0, ge=0, le=600,
        description="How long a worker that is asked to stop goes on with its job before it hands it back.",
    )  # fmt: skip
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="What is logged.")
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="How: `text`, or `json`, one object a line; `auto` means text at a terminal."
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of /metrics, in Prometheus's form; unset means none."
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address of that port; whoever reaches it may read it, so not a public one."
    )
    otlp_url: str | None = Field(
        default=None, pattern=r"^https?://",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://collector:4318`; else "
        "nothing is traced. OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_CERTIFICATE say how it is to be spoken to.",
    )  # fmt: skip
    traced_share: float = Field(
        default=1.0, ge=0, le=1, description="Share of requests and jobs of which traces are sent, between 0 and 1."
    )

"""Every setting of the service: environment variables with the prefix AFFIDAVIT_, each with a sentence."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        message = "must have at least 32 characters"
        raise ValueError(message)
    return secret


Key = Annotated[SecretStr, AfterValidator(_long_enough)]
RerankProtocol = Literal["jina", "tei"]
JudgeKind = Literal["chat", "classifier"]
SupportLevel = Literal["verbatim", "close", "judged"]


class MissingSettingError(RuntimeError):
    """A secret or address that the process needs is not configured."""


def required(secret: SecretStr | None, name: str) -> str:
    """Returns the value of a setting; raises MissingSettingError when there is none."""
    if secret is None:
        message = f"AFFIDAVIT_{name} is not set; `affidavit demo` makes its own, a deployment must choose one"
        raise MissingSettingError(message)
    return secret.get_secret_value()


class Settings(BaseSettings):
    """Configuration of one process; secrets have no defaults and are read from the environment or a secrets directory."""

    model_config = SettingsConfigDict(env_prefix="AFFIDAVIT_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(
        default=Path("~/.local/share/affidavit"),
        description="Folder for the embedded database, the model cache and the demo's secrets.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Owner's connection URL, for `affidavit migrate` only; unset means the embedded database.",
    )
    runtime_database_url: SecretStr | None = Field(
        default=None, description="The runtime role's connection URL; serves every request."
    )
    sealer_database_url: SecretStr | None = Field(
        default=None, description="The sealer role's connection URL; seals audit events."
    )
    operator_database_url: SecretStr | None = Field(
        default=None, description="The operator role's connection URL; unset means that there is no operator API."
    )
    deletion_grace_days: int = Field(
        default=30, ge=1, le=365, description="Days for which a tenant that was deleted can be resumed."
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="Connections per process.")
    database_timeout: float = Field(
        default=2.0,
        gt=0,
        le=30,
        description="Seconds to wait for a connection, and for its first answer, before a 503.",
    )
    accept_conditions_before_policies: bool = Field(
        default=False,
        description="Serve from a managed server whose functions nobody can make costly; the README says what then remains.",
    )

    context_key: Key | None = Field(
        default=None, description="Signs the tenant context that row-level security verifies; at least 32 characters."
    )
    payload_key: Key | None = Field(
        default=None,
        description="Wraps the data keys that encrypt audit payloads, unless AWS KMS or Vault does; at least 32 characters.",
    )
    data_key_seconds: float = Field(
        default=300.0, ge=1, le=3600, description="How long a process remembers a data key before it unwraps it again."
    )
    aws_kms_key: str | None = Field(
        default=None, description="Id, ARN or alias of an AWS KMS key that wraps those data keys instead."
    )
    aws_kms_url: str | None = Field(default=None, description="Endpoint of KMS; unset means AWS.")
    vault_transit_key: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="Key of HashiCorp Vault's transit engine that wraps those data keys instead, made with `derived=true`.",
    )
    vault_transit_mount: str = Field(
        default="transit", pattern=r"^[\w./-]+$", description="Where the transit engine is mounted."
    )
    vault_url: str | None = Field(
        default=None,
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])(:|/|$))",
        description="Address of Vault; without TLS only on this machine, for a Vault Agent.",
    )
    vault_token_file: Path | None = Field(
        default=None, description="File with Vault's token, read at each use, so that an agent may renew it."
    )
    jwt_private_key: SecretStr | None = Field(
        default=None, description="PEM of the P-256 private key that signs access tokens (ES256)."
    )
    jwt_previous_public_keys: list[str] = Field(
        default_factory=list, description="PEMs of public keys whose tokens stay valid while they expire."
    )
    jwt_issuer: str = Field(default="affidavit", description="The `iss` of access tokens.")
    jwt_audience: str = Field(default="affidavit", description="The `aud` of access tokens.")
    refresh_token_days: int = Field(default=14, ge=1, le=90, description="Lifetime of a refresh token family.")

    refresh_reuse_seconds: int = Field(
        default=10, ge=0, le=60,
        description="Seconds in which a refresh token may come again, as from two tabs; after that its whole session ends.",
    )  # fmt: skip

    public_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[^\s?#]+[^/\s?#]$",
        description="Where browsers reach the service; identity providers send them back to `<public_url>/auth/oidc/callback`.",
    )
    oidc_loopback_http: bool = Field(
        default=False,
        description="Lets a tenant's identity provider be on this machine without TLS; for trying out only.",
    )

    checkpoint_key: SecretStr | None = Field(
        default=None,
        description="PEM of the Ed25519 private key that signs audit checkpoints; only the sealer needs it.",
    )
    checkpoint_public_key: str | None = Field(
        default=None, description="The verifier-key line of the checkpoint key, shown to reviewers."
    )
    checkpoint_key_name: str = Field(
        default="affidavit",
        pattern=r"^[^\s+]+$",
        description="Name of the checkpoint key, usually the service's domain.",
    )
    checkpoint_folder: Path | None = Field(
        default=None, description="Folder outside the database to which checkpoints are appended."
    )
    checkpoint_bucket: str | None = Field(
        default=None, description="S3-compatible bucket with object lock to which checkpoints are written."
    )
    checkpoint_bucket_url: str | None = Field(default=None, description="Endpoint of the bucket; unset means AWS.")
    checkpoint_retention_days: int = Field(
        default=365, ge=1, le=3650, description="Days for which a checkpoint in the bucket cannot be deleted."
    )

    audit_retention_days: int = Field(
        default=2557, ge=366, le=36_500,
        description="Days for which events stay in the log before their month may leave for an archive; tenants can keep longer.",
    )  # fmt: skip
    export_part_leaves: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        description="Leaves of the log in one file of an export; more are split.",
    )
    archive_folder: Path | None = Field(
        default=None, description="Folder of archived months; unset means `archives` in the home folder."
    )
    archive_bucket: str | None = Field(default=None, description="S3-compatible bucket of archived months, instead.")
    archive_bucket_url: str | None = Field(default=None, description="Endpoint of that bucket; unset means AWS.")

    storage_folder: Path | None = Field(
        default=None, description="Folder of uploaded files, encrypted; unset means `files` in the home folder."
    )
    storage_bucket: str | None = Field(default=None, description="S3-compatible bucket of uploaded files, instead.")
    storage_bucket_url: str | None = Field(default=None, description="Endpoint of that bucket; unset means AWS.")
    max_file_bytes: int = Field(default=100 * 1024 * 1024, ge=1024, description="Largest file accepted.")
    max_file_pages: int = Field(default=5_000, ge=1, description="Most pages or slides of a file.")
    max_file_characters: int = Field(default=20_000_000, ge=1_000, description="Longest text of a file.")
    parser_memory_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=256 * 1024 * 1024, description="Address space of the process that reads a file."
    )
    parser_seconds: int = Field(default=120, ge=1, le=3600, description="Processor time to read one file.")
    chunk_tokens: int = Field(
        default=180, ge=16, le=8_000, description="Size that a chunk is filled up to, in the embedder's tokens."
    )
    chunk_token_limit: int = Field(default=250, ge=16, le=8_000, description="Tokens that no chunk exceeds.")
    chunk_overlap_tokens: int = Field(
        default=0, ge=0, le=4_000, description="Tokens that a full chunk's successor repeats."
    )

    job_lease_seconds: float = Field(
        default=30.0, ge=1, le=600, description="After how long without a sign of its worker a job is taken over."
    )
    job_attempts: int = Field(default=5, ge=1, le=50, description="How often a job is tried before it has failed.")
    job_retention_days: int = Field(
        default=30, ge=1, le=3650,
        description="Days after which a job that ended is forgotten; until then one that used up its attempts can be retried.",
    )  # fmt: skip

    embeddings_url: str | None = Field(
        default=None, description="An OpenAI-compatible /v1 base URL; unset means the built-in MiniLM."
    )
    embeddings_model: str | None = Field(default=None, description="Model name sent to the embeddings server.")
    embeddings_api_key: SecretStr | None = Field(default=None, description="Bearer key of the embeddings server.")
    embeddings_dimensions: int | None = Field(
        default=None, ge=1, le=4000, description="Length of the embeddings server's vectors."
    )
    embedding_threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads of the built-in embedder; unset means one per core."
    )

    lexical_weight: float | None = Field(
        default=None, gt=0, le=1,
        description="How much words count beside meaning, as calibrated for the embedding model; unset means as measured.",
    )  # fmt: skip

    reranker_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="The endpoint of a reranking server, such as https://rerank.example/v1/rerank; unset means none.",
    )
    reranker_protocol: RerankProtocol = Field(
        default="jina",
        description="What that server speaks: `jina`, as Cohere, vLLM and others do too, or `tei` (Text Embeddings Inference).",
    )
    reranker_model: str | None = Field(
        default=None, description="Model name sent to the reranking server and recorded."
    )
    reranker_api_key: SecretStr | None = Field(default=None, description="Bearer key of the reranking server.")
    reranker_candidates: int = Field(
        default=32, ge=1, le=100,
        description="How many of the best chunks are reranked, and never fewer than a request asks for (TEI takes 32 at once).",
    )  # fmt: skip
    reranker_timeout: float = Field(default=5.0, gt=0, le=60, description="Seconds to wait for the reranking server.")
    reranker_required: bool = Field(
        default=False,
        description="Answer 503 while the reranking server is away, instead of keeping the search's order and recording that.",
    )

    model_url: str | None = Field(
        default=None, description="An OpenAI-compatible /v1 base URL; unset means the built-in extractive generator."
    )
    model_name: str | None = Field(default=None, description="Model name sent to the model server.")
    model_api_key: SecretStr | None = Field(default=None, description="Bearer key of the model server.")
    model_timeout: float = Field(default=60.0, gt=0, le=600, description="Seconds to wait for the model server.")

    judge_url: str | None = Field(
        default=None, pattern=r"^https?://",
        description="A server that judges whether passages entail a sentence: a /v1 base URL or a classifier's endpoint.",
    )  # fmt: skip
    judge_kind: JudgeKind = Field(
        default="chat",
        description="What that server is: `chat` (OpenAI-compatible), or `classifier` (Text Embeddings Inference's /predict).",
    )
    judge_model: str | None = Field(default=None, description="Model name sent to the judge and recorded.")
    judge_api_key: SecretStr | None = Field(default=None, description="Bearer key of the judge.")
    support_levels: list[SupportLevel] = Field(
        default=["verbatim", "close"],
        description="Which sentences of a model server are shown: quotes (verbatim), those that say what a passage says (close), "
        "those that a judge confirms (judged).",
    )

    sources_in_text: bool = Field(
        default=True,
        description="End chat completions with a block of sources, which also clients show that drop annotations.",
    )

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
    max_chunk_chars: int = Field(default=20_000, ge=100, description="Longest chunk_text accepted.")
    max_batch_chunks: int = Field(default=1_000, ge=1, le=10_000, description="Most chunks in one /ingest/batch.")
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Networks (CIDR) of proxies whose X-Forwarded-For is believed for the source address.",
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="What is logged.")

    @model_validator(mode="after")
    def _servers_come_with_model_names(self) -> Self:
        if self.embeddings_url and not (self.embeddings_model and self.embeddings_dimensions):
            message = "AFFIDAVIT_EMBEDDINGS_URL needs AFFIDAVIT_EMBEDDINGS_MODEL and AFFIDAVIT_EMBEDDINGS_DIMENSIONS"
            raise ValueError(message)
        if self.reranker_url and not self.reranker_model:
            message = "AFFIDAVIT_RERANKER_URL needs AFFIDAVIT_RERANKER_MODEL"
            raise ValueError(message)
        if self.judge_url and not self.judge_model:
            message = "AFFIDAVIT_JUDGE_URL needs AFFIDAVIT_JUDGE_MODEL"
            raise ValueError(message)
        if "judged" in self.support_levels and not self.judge_url:
            message = "AFFIDAVIT_SUPPORT_LEVELS names judged, which needs AFFIDAVIT_JUDGE_URL"
            raise ValueError(message)
        if self.model_url and not self.model_name:
            message = "AFFIDAVIT_MODEL_URL needs AFFIDAVIT_MODEL_NAME"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _one_key_encryption(self) -> Self:
        if self.aws_kms_key and self.vault_transit_key:
            message = "AFFIDAVIT_AWS_KMS_KEY and AFFIDAVIT_VAULT_TRANSIT_KEY exclude each other"
            raise ValueError(message)
        if self.vault_transit_key and not (self.vault_url and self.vault_token_file):
            message = "AFFIDAVIT_VAULT_TRANSIT_KEY needs AFFIDAVIT_VAULT_URL and AFFIDAVIT_VAULT_TOKEN_FILE"
            raise ValueError(message)
        return self

    @property
    def home_folder(self) -> Path:
        """The home folder as an absolute path."""
        return self.home.expanduser().resolve()

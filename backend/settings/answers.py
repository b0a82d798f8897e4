"""Settings: answers: models, what they cost, and how their sentences are checked."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

JudgeKind = Literal["chat", "classifier"]
SupportLevel = Literal["verbatim", "close", "judged"]

_SHORTEST_OPEN = timedelta(minutes=5)
_BESIDE_MODELS = timedelta(minutes=4)  # waiting for a turn, finding passages, asking a judge


class Price(BaseModel):
    """What a million tokens of a model cost, read and written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Decimal = Field(ge=0, le=1_000_000)
    completion: Decimal = Field(default=Decimal(0), ge=0, le=1_000_000)


class ModelServerSettings(BaseModel):
    """A model behind a server that speaks OpenAI's chat completions: OpenAI, Azure, vLLM, Mistral, Bedrock or Vertex."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)  # in records, prices and tenants' choices
    url: str = Field(pattern=r"^https?://")  # ends in /v1, or with `api_version` in Azure's /openai/deployments/NAME
    model: str | None = None  # as it is sent; unset means the name
    api_key: SecretStr | None = None
    api_version: str | None = None
    timeout: float = Field(default=60.0, gt=0, le=600)  # seconds
    max_tokens: int = Field(default=1024, ge=1, le=100_000)  # of an answer
    extra_body: dict[str, Any] = Field(default_factory=dict)  # sent with every request
    tenants: list[str] | None = None  # slugs of those that may use it; unset means all


class AnswerSettings(BaseModel):
    """Answers: models, what they cost, and how their sentences are checked."""

    model_url: str | None = Field(
        default=None, description="An OpenAI-compatible /v1 base URL; unset means the built-in extractive generator."
    )
    model_name: str | None = Field(default=None, description="Model name sent to the model server.")
    model_api_key: SecretStr | None = Field(default=None, description="Bearer key of the model server.")
    model_timeout: float = Field(default=60.0, gt=0, le=600, description="Seconds to wait for the model server.")
    models: list[ModelServerSettings] = Field(
        default_factory=list, max_length=16,
        description="Further model servers, asked in this order when those before cannot answer: "
        '`[{"name": "MODEL", "url": "https://models.example/v1", "api_key": "…"}]`; also `model` (as it is sent), `api_version` '
        "(Azure), `timeout`, `max_tokens`, `extra_body`, and `tenants`, the slugs of those that may use it.",
    )  # fmt: skip
    answer_seconds: float | None = Field(
        default=None, gt=0, le=86_400,
        description="Seconds that models may take for an answer, one after the other, for processes that do not know the models: "
        "sealer and workers. Unset means the time-outs of the configured ones together.",
    )  # fmt: skip
    model_prices: dict[str, Price] = Field(
        default_factory=dict,
        description="What a million tokens of each model cost, in one currency, for budgets of money: "
        '`{"MODEL": {"prompt": 0.15, "completion": 0.60}}`. The built-in generator and embedder cost nothing.',
    )
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

    @model_validator(mode="after")
    def _model_and_judge_have_names(self) -> Self:
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
    def _models_have_names_and_prices(self) -> Self:
        names = [server.name for server in self.model_servers]
        if len(set(names)) < len(names):
            message = "AFFIDAVIT_MODELS names a model twice"
            raise ValueError(message)
        if self.model_prices and (unpriced := set(names) - self.model_prices.keys()):
            message = f"AFFIDAVIT_MODEL_PRICES has no price for {', '.join(sorted(unpriced))}"
            raise ValueError(message)
        return self

    @property
    def open_after(self) -> timedelta:
        """How long after a question that has no end on record nobody answers it any more."""
        models = self.answer_seconds or sum(server.timeout for server in self.model_servers)
        return max(_SHORTEST_OPEN, timedelta(seconds=models) + _BESIDE_MODELS)

    @property
    def model_servers(self) -> list[ModelServerSettings]:
        """The models that may answer, in the order in which they are asked."""
        if self.model_url is None or self.model_name is None:
            return list(self.models)
        first = ModelServerSettings(
            name=self.model_name, url=self.model_url, api_key=self.model_api_key, timeout=self.model_timeout
        )
        return [first, *self.models]

"""Request and response bodies of evaluation: sets, runs, changes, and the tenant's rule for changes."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from backend.jobs.models import JobProgress
from backend.schema import ApiModel, AskedText, Text

SET_NAME = "^[a-z0-9][a-z0-9-]{0,62}$"
MOST_QUESTIONS = 1_000

Expected = Literal["document", "quote", "refusal"]
Why = Literal["refused", "answered", "other_document", "other_words", "not_asked"]


class EvaluationQuestion(ApiModel):
    """A question, and what its answer must have."""

    model_config = ConfigDict(
        json_schema_extra={
            # A condition and not alternatives, of which generators would make classes of their own.
            "if": {"properties": {"expected": {"const": "refusal"}}},
            "then": {"properties": {"value": {"type": "null"}}},
            "else": {"required": ["value"], "properties": {"value": {"type": "string"}}},
        }
    )
    question: Annotated[
        AskedText, Field(min_length=1, max_length=4_000, examples=["How long do customers have to file card disputes?"])
    ]
    expected: Expected = Field(
        description="`document`: it is cited. `quote`: these words are cited. `refusal`: there must be no answer.",
        examples=["document"],
    )
    value: Annotated[Text, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, description="The document's doc_id, or the words; null for a refusal.", examples=["pol-001"]
    )
    owner: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Who answers for the question; the version's author if unset.", examples=["Card operations"]
    )  # fmt: skip
    collection: Annotated[Text, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="The collection that is asked; all that the starter reads if unset.", examples=["default"]
    )  # fmt: skip
    reported_turn: UUID | None = Field(
        default=None, description="The candidate that the question was taken from.", examples=[None]
    )

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if (self.expected == "refusal") != (self.value is None):
            message = "value: name the document or the words, and nothing for a refusal"
            raise ValueError(message)
        return self


_EXAMPLE = {
    "question": "How long do customers have to file card disputes?", "expected": "document", "value": "pol-001",
    "owner": "Card operations",
}  # fmt: skip


class NewSetVersion(ApiModel):
    """All questions of the set from this version on."""

    questions: Annotated[list[EvaluationQuestion], Field(min_length=1, max_length=MOST_QUESTIONS)] = Field(
        description="In the order in which they are asked.", examples=[[_EXAMPLE]]
    )


class EvaluationSetVersion(ApiModel):
    """A version of a set, with its questions."""

    name: str = Field(description="The set's name.", examples=["card-disputes"])
    version: int = Field(description="Counted from 1.", examples=[2])
    questions: list[EvaluationQuestion] = Field(description="In the order in which they are asked.")
    created_by: UUID
    created_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None = Field(description="When another person approved it.")


class EvaluationSetSummary(ApiModel):
    """A set, by its newest version and the one that counts."""

    name: str = Field(description="The set's name.", examples=["card-disputes"])
    newest_version: int = Field(description="The version that was written last.", examples=[2])
    approved_version: int | None = Field(description="The newest one that was approved, which runs use.", examples=[1])
    questions: int = Field(description="How many the newest version has.", examples=[24])


class EvaluationSetList(ApiModel):
    """The tenant's sets, by name."""

    sets: list[EvaluationSetSummary] = Field(description="Evaluation sets.")


class CandidateQuestion(ApiModel):
    """A question whose answer was reported as wrong, and that is in no set yet."""

    turn: UUID
    question: str | None = Field(description="As it was asked; null once it was erased.")
    reported_at: datetime = Field(description="When it was reported.")


class CandidateList(ApiModel):
    """Questions that were reported, the last first."""

    candidates: list[CandidateQuestion] = Field(description="Questions to take into a set.")


class NewRun(ApiModel):
    """A run to start."""

    name: Annotated[Text, Field(pattern=SET_NAME, description="The set's name.", examples=["card-disputes"])]
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Of the set; the newest approved one if unset.", examples=[None]
    )
    change: UUID | None = Field(
        default=None, description="A proposed change under which to ask; what answers now if unset.", examples=[None]
    )


class RunPins(ApiModel):
    """Under what a run was made."""

    model_config = ConfigDict(extra="allow")
    code: str = Field(description="The code that ran.", examples=["0.2.0+0a1b2c3d4e5f6a7b"])
    models: list[str] = Field(description="Models in the order in which they are asked.", examples=[["extractive-v8"]])
    prompt: str = Field(description="The version of the prompt.", examples=["v1"])
    prompt_sha256: str = Field(description="SHA-256 of its template.", examples=["9f86d081884c7d65"])
    embedder: str = Field(description="The embedding model.", examples=["all-MiniLM-L6-v2"])
    lexical_micros: int = Field(description="How words count beside meaning, in millionths.", examples=[15000])
    page_micros: int = Field(description="How a page counts beside its chunks, in millionths.", examples=[670000])
    reranker: str | None = Field(default=None, description="The reranking model, if any.", examples=[None])
    support_levels: list[str] = Field(
        description="Levels of support whose sentences are shown.", examples=[["close", "verbatim"]]
    )
    grounding: str = Field(description="The version of the check of sentences.", examples=["6"])
    judge: str | None = Field(default=None, description="The model that judges sentences, if any.", examples=[None])
    chunking: str = Field(
        description="Target, limit and overlap of chunks in tokens, for files uploaded from then on.", examples=["180/250/0"]
    )  # fmt: skip
    versions: int = Field(
        description="Versions of documents that the starter could read when the run began.", examples=[12]
    )
    newest_version: UUID | None = Field(default=None, description="The newest of them.")


class QuestionResult(ApiModel):
    """What became of a question."""

    position: int = Field(description="Of the question in its set, counted from 1.", examples=[1])
    passed: bool = Field(description="Whether the answer has what it must have.", examples=[False])
    why: Why | None = Field(
        description=(
            "Why not. `refused`: there was no answer. `answered`: there was one. `other_document`, `other_words`: others were "
            "cited. `not_asked`: the starter may not ask it so."
        ),
        examples=["other_document"],
    )
    turn: UUID | None = Field(description="The turn, as the log has it.")


class RunComparison(ApiModel):
    """What differs from the run of the set that was approved last before. Questions are the same when their words are."""

    run: UUID = Field(description="The run compared with.")
    worse: bool = Field(description="Whether a question fails that passed there.", examples=[True])
    newly_failed: list[int] = Field(
        description="Positions of questions that passed there and fail here.", examples=[[3]]
    )
    newly_passed: list[int] = Field(
        description="Positions of questions that failed there and pass here.", examples=[[1]]
    )
    new_questions: int = Field(description="How many questions that run did not have.", examples=[0])
    differs: list[str] = Field(description="What was different, such as `prompt` or `code`.", examples=[["prompt"]])


class EvaluationRun(ApiModel):
    """A run of a set, and how it went."""

    id: UUID = Field(description="Also that of its job, which can be cancelled: `POST /jobs/{id}/cancel`.")
    name: str = Field(description="The set's name.", examples=["card-disputes"])
    version: int = Field(description="The set's version.", examples=[2])
    change: UUID | None = Field(description="The proposed change that it tries, if any.", examples=[None])
    status: Literal["running", "finished", "failed"] = Field(
        description="`running` until its job has ended.", examples=["finished"]
    )
    progress: JobProgress | None = Field(description="In questions; until it is finished, only who started it is told.")
    failure: str | None = Field(description="Why nothing came of it.", examples=[None])
    started_by: UUID = Field(description="With whose rights it asks.")
    started_at: datetime = Field(description="When it was asked for.")
    finished_at: datetime | None
    approved_by: UUID | None
    approved_at: datetime | None = Field(description="When another person approved it.")
    passed: int | None = Field(description="How many questions passed.", examples=[23])
    questions: int = Field(description="How many the set has.", examples=[24])
    pins: RunPins | None = Field(description="Under what it was made, once it is finished.")
    compared: RunComparison | None = Field(
        description="With the run of the same set that was approved last before; null without one."
    )


class EvaluationRunDetail(EvaluationRun):
    """A run with what became of each question."""

    results: list[QuestionResult] = Field(description="In the order of the set; empty until it is finished.")


class EvaluationRunPage(ApiModel):
    """Runs, newest first."""

    runs: list[EvaluationRun] = Field(description="Runs of evaluation sets.")
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class ProposedChange(ApiModel):
    """What somebody wants to answer the tenant's questions from now on."""

    id: UUID
    models: list[str] | None = Field(
        description="In their order; null means the operator's.", examples=[["extractive-v8"]]
    )
    support_levels: list[str] | None = Field(
        description="Levels of support that are shown; null means all that are allowed.", examples=[["verbatim"]]
    )
    proposed_by: UUID = Field(description="Who proposed it.")
    proposed_at: datetime = Field(description="When it was proposed.")
    state: Literal["proposed", "tried", "in_effect", "withdrawn"] = Field(
        description="`tried` once a run of it is finished, `in_effect` since one was approved.", examples=["tried"]
    )
    runs: list[UUID] = Field(description="Its runs, newest first.")


class ChangeList(ApiModel):
    """Changes, newest first."""

    changes: list[ProposedChange] = Field(description="Changes that were proposed.")


class NewEvaluationRule(ApiModel):
    """What a tenant asks of changes."""

    changes_need_approval: bool = Field(
        default=False,
        description="Whether a change of models or support waits for a run that another person approves.",
        examples=[True],
    )
    unapproved: Literal["tell", "refuse"] = Field(
        default="tell",
        description="Where what answers differs from what was approved last: the record tells it, or questions are refused.",
        examples=["tell"],
    )


class EvaluationRule(NewEvaluationRule):
    """What a tenant asks of changes, and whether what answers now is what was approved."""

    changed_by: UUID | None = Field(description="Who set it; null when nobody did.")
    changed_at: datetime | None = Field(description="When it was set.")
    approved_run: UUID | None = Field(description="The run that was approved last.")
    differs: list[str] = Field(
        description="What of the process that answers this differs from it.", examples=[["prompt"]]
    )

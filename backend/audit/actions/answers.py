"""Answers: what a model was given, what it said, and what people thought of it. Likenesses are in millionths."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Member


class _OfTurn(Details):
    """An event of one turn; what 0.1.0 answered belongs to no conversation."""

    turn: UUID
    conversation: UUID | None = None


class ReadAs(Member):
    """By what a question was read with what it meant of earlier ones."""

    by: str
    used: bool


class SubmittedPrompt(Member):
    """What a model is about to be given; `addressing_a_model` counts passages that speak to it.

    `fallbacks` are asked in its place, should it fail. `support_levels` are those that the tenant chose.
    `masked` counts the values of each kind of personal data that have a pseudonym in it.
    """

    template: str
    template_sha256: str
    model: str
    parameters: Mapping[str, str | int]
    retrieval: UUID
    chunks: Sequence[UUID]
    addressing_a_model: int | None = None
    fallbacks: Sequence[str] | None = None
    support_levels: Sequence[str] | None = None
    masked: Mapping[str, int] | None = None
    reserved_tokens: int | None = None
    read_as: ReadAs | None = None


class PromptSubmitted(_OfTurn, action="prompt:submitted", activity=Activity.CREATE):
    """A question is about to be answered; its event is the turn."""

    prompt: SubmittedPrompt


class AnswerShown(_OfTurn, action="answer:shown", activity=Activity.READ):
    """A sentence is shown while the answer is still being made."""

    citations: Sequence[UUID]


class EvidenceSpan(Member):
    """The words of a chunk that a sentence rests on, in code points."""

    chunk: UUID
    start: int
    end: int


class GroundedSentence(Member):
    """What the check found of one sentence."""

    support: str
    evidence: Sequence[EvidenceSpan]
    likeness_micros: int | None = None
    judge: str | None = None


class RecordedGrounding(Member):
    """What the check found of each sentence, and how many it dropped for which reason."""

    version: str
    sentences: Sequence[GroundedSentence] | None = None
    dropped: Mapping[str, int] | None = None


class SupersededCitation(Member):
    """A version that an answer cites though another has taken over."""

    doc_id: str
    version: int


class TokensUsed(Member):
    """What budgets and reports count of an answer; `estimated` where no server counted it, without cost where none is known."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    cost_micros: int | None = None


class ModelFailure(Member):
    """A model that was asked before, and how it failed."""

    model: str
    failure: str


class RecordedEvaluation(Member):
    """The approved run under which an answer was made, and what has come to differ from it.

    `trial` is the run that asked the question, to try what is not approved yet.
    """

    run: UUID | None = None
    differs: Sequence[str] | None = None
    trial: UUID | None = None


class GivenAnswer(Member):
    """How an answer, or refusal, was made; without an `evaluation`, no run was approved."""

    template: str
    model_requested: str
    model_served: str | None = None
    parameters: Mapping[str, str | int]
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    citations: Sequence[UUID]
    support: Sequence[str] | None = None
    grounding: RecordedGrounding | None = None
    dropped_sentences: int
    superseded: Sequence[SupersededCitation] | None = None
    milliseconds: int
    used: TokensUsed | None = None
    failed: Sequence[ModelFailure] | None = None
    evaluation: RecordedEvaluation | None = None


class AnswerReturned(_OfTurn, action="answer:returned", activity=Activity.READ):
    """An answer is about to be shown."""

    answer: GivenAnswer


class AnswerRefused(_OfTurn, action="answer:refused", activity=Activity.READ):
    """A question gets no answer, and is told so."""

    answer: GivenAnswer


class AnswerAborted(_OfTurn, action="answer:aborted", activity=Activity.READ):
    """A question got no answer, or only the beginning of one."""


class AnswerPolicyChanged(Details, action="answer_policy:changed", activity=Activity.UPDATE, within="answer_policy"):
    """A tenant chose which models answer, and which levels of support are shown; what is absent is the operator's."""

    models: Sequence[str] | None = None
    support_levels: Sequence[str] | None = None


class ChangeProposed(Details, action="answer_policy:proposed", activity=Activity.CREATE, within="answer_policy"):
    """Somebody wants a tenant to be answered otherwise, which waits for a run that another person approves."""

    change: UUID
    models: Sequence[str] | None = None
    support_levels: Sequence[str] | None = None


class AnswerRated(_OfTurn, action="answer:rated", activity=Activity.CREATE):
    """Whoever got an answer says what it was worth."""

    rating: str


class AnswerReviewed(Details, action="answer:reviewed", activity=Activity.UPDATE):
    """A reviewer found an answer right or wrong; a later verdict counts in place of an earlier one."""

    turn: UUID
    verdict: str
    because: str


class ConversationsRead(Member):
    """How many of its conversations somebody listed, or of their turns it read by name."""

    conversations: int | None = None
    turns: int | None = None


class ConversationRead(Details, action="conversation:read", activity=Activity.READ):
    """Somebody listed its conversations, or read one."""

    read: ConversationsRead | None = None
    conversation: UUID | None = None

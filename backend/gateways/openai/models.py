"""Request bodies of OpenAI's API, as far as they mean something here: unknown fields are ignored, and null means absent."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.schema import Text

JsonValue = dict[str, Any]
FileState = Literal["in_progress", "completed", "failed", "cancelled"]


class LenientModel(BaseModel):
    """A body whose unknown fields are ignored, and in which null stands for a field that is absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: object) -> object:
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body


class MessagePart(LenientModel):
    """A part of a message."""

    type: str = "text"
    text: Text | None = None


Content = Annotated[Text, Field(max_length=200_000)] | Annotated[list[MessagePart], Field(max_length=100)]


class Message(LenientModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(
        description="System and developer messages are recorded, not obeyed: instructions come from this service alone."
    )
    content: Content = Field(default="", description="Text, or parts of type `text`.")


class StreamOptions(LenientModel):
    """Options of a stream."""

    include_usage: bool = Field(default=False, description="End with a chunk that holds the token counts.")


class EndUserFields(LenientModel):
    """Who asks, in the words of the client's system; the first that is present counts."""

    safety_identifier: Annotated[Text, Field(max_length=200)] | None = Field(
        default=None, description="The end user for whom the request is made.", examples=["employee-4711"]
    )
    user: Annotated[Text, Field(max_length=200)] | None = Field(
        default=None, description="The end user, as older clients say it."
    )
    metadata: JsonValue = Field(default_factory=dict, description="`end_user` names the end user.", max_length=50)


class ChatRequest(EndUserFields):
    """A chat completion: the last user message is the question."""

    model: Annotated[Text, Field(max_length=200, examples=["affidavit"])] = Field(
        default="affidavit", description="`affidavit`, or `affidavit/<slug>` for one collection."
    )
    messages: Annotated[list[Message], Field(min_length=1, max_length=500)] = Field(
        description="The conversation so far.",
        examples=[[{"role": "user", "content": "How long do customers have to file card disputes?"}]],
    )
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    stream_options: StreamOptions = Field(default_factory=StreamOptions, description="Options of a stream.")
    n: int = Field(default=1, description="Must be 1.")
    logprobs: bool = Field(default=False, description="Must be false.")
    top_logprobs: int = Field(default=0, description="Must be 0.")
    response_format: JsonValue = Field(default_factory=dict, description="Must be of type `text`.")
    tools: list[JsonValue] = Field(
        default_factory=list, description="Ignored, as this service calls none.", max_length=200
    )
    modalities: list[str] = Field(default_factory=lambda: ["text"], description="Must be `text` alone.", max_length=10)
    tool_choice: str | JsonValue = Field(default="auto", description="Must not demand a tool.")
    function_call: str | JsonValue = Field(default="auto", description="Must not demand a function.")
    web_search_options: JsonValue | None = Field(default=None, description="Not offered.")


class InputItem(LenientModel):
    """An item of a response's input."""

    type: str = Field(default="message", description="Only messages are read.")
    role: Literal["system", "developer", "user", "assistant"] = Field(default="user", description="Who says it.")
    content: Content = Field(default="", description="Text, or parts of type `input_text`.")


class RankingOptions(LenientModel):
    """Options of ranking."""

    score_threshold: float = Field(default=0.0, ge=0, le=1, description="Leaves out what scores less.")


class FileSearchTool(LenientModel):
    """A tool of a response; only `file_search` is offered."""

    type: str = Field(description="`file_search`.", examples=["file_search"])
    vector_store_ids: Annotated[list[Text], Field(max_length=50)] = Field(
        default_factory=list, description="Collections to search; none means all that the caller may read."
    )
    filters: JsonValue = Field(default_factory=dict, description="A comparison, or `and` / `or` of them.")
    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None, description="How many passages the answer is made of, at most; unset means 8."
    )
    ranking_options: RankingOptions = Field(
        default_factory=RankingOptions, description="Must have no `score_threshold`."
    )


class ResponseRequest(EndUserFields):
    """A response: the last user message of the input is the question."""

    model: Annotated[Text, Field(max_length=200, examples=["affidavit"])] = Field(
        default="affidavit", description="`affidavit`, or `affidavit/<slug>` for one collection."
    )
    input: (
        Annotated[Text, Field(max_length=200_000)] | Annotated[list[InputItem], Field(min_length=1, max_length=500)]
    ) = Field(
        description="The question, or the conversation so far.",
        examples=["How long do customers have to file card disputes?"],
    )
    instructions: Text | None = Field(
        default=None, description="Recorded, not obeyed: instructions come from this service alone."
    )
    tools: Annotated[list[FileSearchTool], Field(max_length=50)] = Field(
        default_factory=list, description="At most one `file_search`."
    )
    include: Annotated[list[str], Field(max_length=20)] = Field(
        default_factory=list, description="`file_search_call.results` returns what was found."
    )
    previous_response_id: Annotated[Text, Field(max_length=100)] | None = Field(
        default=None, description="The response that this question follows up on."
    )
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    background: bool = Field(default=False, description="Must be false.")
    top_logprobs: int = Field(default=0, description="Must be 0.")
    conversation: str | JsonValue | None = Field(default=None, description="Not offered; use `previous_response_id`.")
    text: JsonValue = Field(default_factory=dict, description="The format must be `text`.")
    tool_choice: str | JsonValue = Field(default="auto", description="Must be `auto`, `required` or `file_search`.")
    prompt: JsonValue | None = Field(default=None, description="Not offered.")


class SearchRequest(LenientModel):
    """A search in a vector store."""

    query: (
        Annotated[Text, Field(max_length=4_000)]
        | Annotated[list[Annotated[Text, Field(max_length=4_000)]], Field(min_length=1, max_length=10)]
    ) = Field(description="A question, or several, each of which is a retrieval.", examples=["card disputes"])
    filters: JsonValue = Field(default_factory=dict, description="A comparison, or `and` / `or` of them.")
    max_num_results: Annotated[int, Field(ge=1, le=50)] = Field(default=10, description="How many results.")
    ranking_options: RankingOptions = Field(default_factory=RankingOptions, description="Options of ranking.")
    rewrite_query: bool = Field(default=False, description="Ignored: questions are searched as they are asked.")


class EmbeddingRequest(EndUserFields):
    """Texts to embed."""

    input: (
        Annotated[Text, Field(max_length=20_000)]
        | Annotated[list[Annotated[Text, Field(max_length=20_000)]], Field(min_length=1, max_length=256)]
    ) = Field(description="A text, or up to 256.", examples=["Card disputes must be filed within 60 days."])
    model: Annotated[Text, Field(max_length=200)] = Field(
        default="affidavit", description="Ignored: there is one embedder."
    )
    encoding_format: Literal["float", "base64"] = Field(default="float", description="How vectors are written.")
    dimensions: int | None = Field(default=None, description="Must be the embedder's own, if given.")


Attributes = Annotated[
    dict[str, str | float | bool],
    Field(max_length=16, description="What the document says of itself: at most 16 texts, numbers or booleans."),
]


class ChunkingStrategy(LenientModel):
    """How documents are cut into chunks, which is this service's decision."""

    type: str = Field(default="auto", description="`auto`.", examples=["auto"])


class VectorStoreFileRequest(LenientModel):
    """A file for a vector store."""

    file_id: Annotated[Text, Field(max_length=100, examples=["file-0196f0d27c4b7c4e8f3a2b1c0d9e8f7a"])] = Field(
        description="The id of an upload of the caller's."
    )
    attributes: Attributes = Field(default_factory=dict)
    chunking_strategy: ChunkingStrategy = Field(default_factory=ChunkingStrategy, description="Must be `auto`.")


class BatchRequest(LenientModel):
    """Files for a vector store: `file_ids` with the same attributes, or `files` with their own."""

    file_ids: Annotated[list[Annotated[Text, Field(max_length=100)]], Field(max_length=500)] = Field(
        default_factory=list, description="Ids of uploads of the caller's."
    )
    files: Annotated[list[VectorStoreFileRequest], Field(max_length=500)] = Field(
        default_factory=list, description="The same, each with attributes of its own."
    )
    attributes: Attributes = Field(default_factory=dict)
    chunking_strategy: ChunkingStrategy = Field(default_factory=ChunkingStrategy, description="Must be `auto`.")

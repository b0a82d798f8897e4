"""What a chat or a response asks of the answering service, and for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from pydantic import ValidationError

from backend.answers.models import AnswerRequest
from backend.answers.said import NOTHING, ClientSaid
from backend.errors import NotFound
from backend.gateways.openai.errors import ModelNotFound, UnsupportedParameter, WrongParameter
from backend.gateways.openai.ids import parsed
from backend.gateways.openai.models import Content, EndUserFields, InputItem, Message
from backend.identity.callers import on_behalf_of
from backend.identity.callers.caller import Caller
from backend.identity.sign_in.compact_jws import InvalidToken

MODEL, TASKS = "affidavit", "affidavit-tasks"
FORWARDED_USER = "X-OpenWebUI-User-Id"
IGNORED_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class ConversationQuestion:
    """A question out of a conversation, what the client says was said before, and which of its messages are not obeyed."""

    question: str
    ignored: tuple[str, ...] = ()
    said: ClientSaid = NOTHING

    @property
    def headers(self) -> dict[str, str]:
        """What a response says of it."""
        return {"x-affidavit-ignored": ",".join(self.ignored)} if self.ignored else {}


def question_of(messages: Sequence[Message | InputItem], parameter: str) -> ConversationQuestion:
    """Returns the last user message; raises UnsupportedParameter where there is none, or it is no text."""
    last = next((n for n in reversed(range(len(messages))) if messages[n].role == "user"), None)
    if last is None:
        raise UnsupportedParameter(parameter, f"{parameter}: needs a message of the role `user`")
    ignored = {message.role for message in messages} & set(IGNORED_ROLES)
    instructions = tuple(_legible(message.content) for message in messages if message.role in IGNORED_ROLES)
    said = ClientSaid(_turns(messages[:last]), instructions)
    return ConversationQuestion(text_of(messages[last].content, parameter), tuple(sorted(ignored)), said)


def with_instructions(asked: ConversationQuestion, instructions: str | None) -> ConversationQuestion:
    """Returns a question with instructions that stand beside its messages."""
    if not instructions:
        return asked
    said = replace(asked.said, instructions=(instructions, *asked.said.instructions))
    return replace(asked, ignored=(*asked.ignored, "instructions"), said=said)


def _turns(messages: Sequence[Message | InputItem]) -> tuple[tuple[str, str], ...]:
    """Returns each question with what was said until the next one."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        text = _legible(message.content)
        if message.role == "user" and text:
            turns.append((text, ""))
        elif message.role == "assistant" and turns and text:
            question, answer = turns[-1]
            turns[-1] = (question, f"{answer}\n{text}" if answer else text)
    return tuple(turns)


def _legible(content: Content) -> str:
    """Returns the text of an earlier message, without what else it has."""
    return content if isinstance(content, str) else "\n".join(part.text for part in content if part.text)


def text_of(content: Content, parameter: str) -> str:
    """Returns the text of a message; raises UnsupportedParameter for pictures, sound and files."""
    if isinstance(content, str):
        return content
    for part in content:
        if part.type not in {"text", "input_text", "output_text"}:
            raise UnsupportedParameter(
                parameter, f"{parameter}: only text is read, not parts of type {part.type[:40]!r}"
            )
    return "\n".join(part.text or "" for part in content)


def collection_of(model: str) -> str | None:
    """Returns the slug that a model's name confines the search to; raises ModelNotFound."""
    name, _, slug = model.partition("/")
    if name != MODEL or (slug == "" and "/" in model):
        raise ModelNotFound(model)
    return slug or None


def stores_of(caller: Caller, stores: Sequence[str]) -> frozenset[UUID] | None:
    """Returns the collections that vector stores are, None for no stores; raises UnsupportedParameter for another's store."""
    named = {store: _store(store) for store in stores}
    if missing := [store for store, known in named.items() if known not in caller.readable]:
        raise UnsupportedParameter("tools", f"tools: there is no vector store {missing[0][:80]!r} that you may read")
    return frozenset(known for known in named.values() if known) or None


def _store(named: str) -> UUID | None:
    try:
        return parsed("vs_", named)
    except NotFound:
        return None


def turn_of(previous_response_id: str | None) -> UUID | None:
    """Returns the turn that a question follows up on; raises WrongParameter for what is no id of a response."""
    try:
        return parsed("resp_", previous_response_id) if previous_response_id else None
    except NotFound as error:
        raise WrongParameter("previous_response_id", "is no id of a response") from error


def conversation_of(caller: Caller, named: str | None) -> UUID | None:
    """Returns the conversation that `X-Conversation` names: a UUID as it is, and any other name as one among the caller's own."""
    if not named:
        return None
    try:
        return UUID(named)
    except ValueError:
        return uuid5(caller.tenant_id, f"conversation:{caller.principal_id}:{caller.subject_id}:{named}")


def answer_request(parameters: Mapping[str, str], **fields: object) -> AnswerRequest:
    """Returns the request to the answering service; raises WrongParameter for what it would not take.

    `parameters` says by which parameter of the client's a field came, where the two differ.
    """
    try:
        return AnswerRequest.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        field = str(problem["loc"][0])
        raise WrongParameter(parameters.get(field, field), problem["msg"]) from error


def for_end_user(caller: Caller, body: EndUserFields, forwarded: str | None) -> Caller:
    """Returns the caller as acting for the end user whom body or `forwarded` header name, if they may name one.

    Both only assert. A key whose end users must be signed takes none from the body, and does not look at the header, which
    Open WebUI sends to every server; two names must agree. Raises WrongParameter.
    """
    in_metadata = body.metadata.get("end_user")
    given = {
        "safety_identifier": body.safety_identifier,
        "user": body.user,
        "metadata.end_user": in_metadata if isinstance(in_metadata, str) else None,
        FORWARDED_USER: forwarded if caller.may_assert_end_users else None,
    }
    named = [(parameter, name) for parameter, name in given.items() if name]
    if not named or caller.kind != "key":
        return caller
    parameter, name = named[0]
    for other, another in named:
        if another != name:
            raise WrongParameter(other, f"another end user is named in {parameter}")
    if not caller.may_assert_end_users:
        raise WrongParameter(parameter, "this key names end users by signed assertions in X-On-Behalf-Of only")
    try:
        end_user = on_behalf_of.asserted(name)
    except InvalidToken as error:
        raise WrongParameter(parameter, "is no name of an end user") from error
    if caller.on_behalf_of is not None and caller.on_behalf_of.subject != end_user.subject:
        raise WrongParameter(parameter, "another end user is named in X-On-Behalf-Of")
    return replace(caller, on_behalf_of=end_user)

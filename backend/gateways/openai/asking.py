"""What a chat or a response asks of the answering service, and for whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from pydantic import ValidationError

from backend.answers.models import AnswerRequest
from backend.errors import InvalidInput
from backend.gateways.openai.errors import ModelNotFound, UnsupportedParameter
from backend.gateways.openai.models import Content, EndUserFields, InputItem, Message
from backend.identity.callers import on_behalf_of
from backend.identity.callers.caller import Caller
from backend.identity.sign_in.compact_jws import InvalidToken

MODEL, TASKS = "affidavit", "affidavit-tasks"
IGNORED_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question out of a conversation, and which of its messages were ignored."""

    question: str
    ignored: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        """What a response says of it."""
        return {"x-affidavit-ignored": ",".join(self.ignored)} if self.ignored else {}


def question_of(messages: Sequence[Message | InputItem], parameter: str) -> Asked:
    """Returns the last user message; raises UnsupportedParameter where there is none, or it is no text."""
    asked = next((message for message in reversed(messages) if message.role == "user"), None)
    if asked is None:
        raise UnsupportedParameter(parameter, f"{parameter}: needs a message of the role `user`")
    ignored = {message.role for message in messages} & set(IGNORED_ROLES)
    return Asked(text_of(asked.content, parameter), tuple(sorted(ignored)))


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


def conversation_of(caller: Caller, named: str | None) -> UUID | None:
    """Returns the conversation that `X-Conversation` names: a UUID as it is, anything else by a hash within the tenant."""
    if not named:
        return None
    try:
        return UUID(named)
    except ValueError:
        return uuid5(caller.tenant_id, f"conversation:{named[:200]}")


def answer_request(**fields: object) -> AnswerRequest:
    """Returns the request to the answering service; raises InvalidInput for what it would not take."""
    try:
        return AnswerRequest.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error


def for_end_user(caller: Caller, body: EndUserFields) -> Caller:
    """Returns the caller as acting for the end user whom the body names, if it may name one.

    A body only asserts. A key whose end users must be signed takes none from it, and two names must agree. Raises InvalidInput.
    """
    in_metadata = body.metadata.get("end_user")
    named = body.safety_identifier or body.user or (in_metadata if isinstance(in_metadata, str) else None)
    if named is None or caller.kind != "key":
        return caller
    if not caller.may_assert_end_users:
        raise InvalidInput("user: this key names end users by signed assertions in X-On-Behalf-Of only")
    try:
        end_user = on_behalf_of.asserted(named)
    except InvalidToken as error:
        raise InvalidInput("user: is no name of an end user") from error
    if caller.on_behalf_of is not None and caller.on_behalf_of.subject != end_user.subject:
        raise InvalidInput("user: another end user is named in X-On-Behalf-Of")
    return replace(caller, on_behalf_of=end_user)

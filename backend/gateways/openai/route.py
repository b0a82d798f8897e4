"""What all routes of OpenAI's API have in common."""

from typing import Annotated

from backend.audit.events import DoorKind
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.retrieval.question_route import QuestionRoute

Searcher = Annotated[Caller, Requires(Permission.RETRIEVAL_QUERY)]


class OpenAIRoute(QuestionRoute):
    """A route of OpenAI's API; its errors have that API's shape."""

    door = DoorKind.OPENAI

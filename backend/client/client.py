"""The service, as one user or key."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, Unpack
from uuid import UUID

import httpx

from .answers import AnswerStream
from .connection import Connection, KeyAuth, UserAuth
from .documents import Documents
from .evaluations import Evaluations
from .exports import Exports
from .jobs import Jobs
from .keys import Keys
from .models import Answer, Me, Retrieval, Scope
from .reading import read
from .sources import Sources
from .webhooks import Webhooks
from .wire import as_json

_SECONDS = 60.0


class Client:
    """Speaks to the service; threads may share it. Everything that it does raises AffidavitError where it fails."""

    def __init__(self, connection: Connection) -> None:
        """Takes a way to the service; `with_key` and `sign_in` make one."""
        self._connection = connection
        self.documents = Documents(connection)
        self.jobs = Jobs(connection)
        self.keys = Keys(connection)
        self.exports = Exports(connection)
        self.evaluations = Evaluations(connection)
        self.sources = Sources(connection)
        self.webhooks = Webhooks(connection)

    @classmethod
    def with_key(cls, base_url: str, key: str, *, timeout: float = _SECONDS) -> Self:
        """Returns a client that sends an API key."""
        return cls(_connection(base_url, KeyAuth(key), timeout))

    @classmethod
    def sign_in(
        cls,
        base_url: str,
        *,
        tenant: str,
        username: str,
        password: str,
        otp: str | None = None,
        timeout: float = _SECONDS,
    ) -> Self:
        """Returns a client that signs a user in with its first request, and refreshes the session while it is used.

        `otp` is a code of the second factor, for a user who has one.
        """
        return cls(_connection(base_url, UserAuth(base_url.rstrip("/"), tenant, username, password, otp), timeout))

    def acting_for(self, end_user: str, *, purpose: str | None = None) -> "Client":
        """Returns the same client, whose requests name an end user, and what for, in the record."""
        headers = {"X-On-Behalf-Of": end_user} | ({"X-Purpose": purpose} if purpose else {})
        return Client(self._connection.with_headers(headers))

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the sockets."""
        self.close()

    def close(self) -> None:
        """Closes the sockets."""
        self._connection.close()

    def me(self) -> Me:
        """Returns who is calling."""
        return read(Me, self._connection.get("/auth/me"))

    def retrieve(self, query: str, *, k: int = 5, **scope: Unpack[Scope]) -> Retrieval:
        """Returns the best passages, at most `k`."""
        return read(Retrieval, self._connection.post("/retrieve", as_json({"query": query, "k": k, **scope})))

    def ask(
        self,
        question: str,
        *,
        previous_turn: UUID | None = None,
        conversation: UUID | None = None,
        **scope: Unpack[Scope],
    ) -> Answer:
        """Returns an answer with citations, or a refusal. `previous_turn` is the `turn` of the answer that this follows up on."""
        body = _question(question, previous_turn, conversation, scope)
        return read(Answer, self._connection.send("POST", "/answer", once=True, json=body).json())

    @contextmanager
    def ask_streaming(
        self,
        question: str,
        *,
        previous_turn: UUID | None = None,
        conversation: UUID | None = None,
        **scope: Unpack[Scope],
    ) -> Iterator[AnswerStream]:
        """Yields an answer as it comes, for a `with` statement; leaving it early ends the answer."""
        body = {**_question(question, previous_turn, conversation, scope), "stream": True}
        with self._connection.stream("POST", "/answer", json=body) as response:
            yield AnswerStream(response.iter_lines())

    def event(self, event_id: UUID) -> dict[str, Any]:
        """Returns an event of the audit log, for who may read it."""
        told: dict[str, Any] = self._connection.get(f"/audit/events/{event_id}")
        return told


def _connection(base_url: str, auth: httpx.Auth, timeout: float) -> Connection:
    return Connection(httpx.Client(base_url=base_url.rstrip("/"), auth=auth, timeout=timeout), {})


def _question(question: str, previous_turn: UUID | None, conversation: UUID | None, scope: Scope) -> dict[str, Any]:
    return as_json({"question": question, "previous_turn": previous_turn, "conversation": conversation, **scope})

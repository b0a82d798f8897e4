"""What can go wrong when a program speaks to the service."""

from collections.abc import Sequence
from typing import Any

import httpx


class AffidavitError(Exception):
    """Anything that the client raises; the message is a sentence for people."""


class Unreachable(AffidavitError):
    """Nobody answers at the address of the service, or the answer ends in the middle."""


class Refused(AffidavitError):
    """The service says no, or why it cannot."""

    def __init__(
        self, status: int, code: str, detail: str, request_id: str | None = None, fields: Sequence[dict[str, str]] = ()
    ) -> None:
        """Takes the HTTP status, the stable code, a sentence, the request's name in the log, and the fields that are wrong."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.fields = tuple(fields)

    @classmethod
    def by(cls, response: httpx.Response) -> "Refused":
        """Returns what a response refuses, also where a gateway on the way answers in a shape of its own."""
        response.read()
        try:
            told: dict[str, Any] = response.json()
            detail = str(told["detail"])
        except (ValueError, KeyError, TypeError):
            return cls(response.status_code, "unknown", f"HTTP {response.status_code} {response.reason_phrase}")
        return cls(
            response.status_code, str(told.get("error")), detail, told.get("request_id"), told.get("fields") or ()
        )


class JobFailed(AffidavitError):
    """A job ended without success."""

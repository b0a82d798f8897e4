"""What an authorization server refuses, in the words of RFC 6749 and RFC 8707."""

from http import HTTPStatus

from backend.errors import ServiceError, Unauthenticated


class RefusedGrant(Unauthenticated):
    """A request to the token endpoint that is refused; recorded as a failed sign-in."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_grant"

    def __init__(self, *, reason: str, code: str = "invalid_grant", recorded: bool = False) -> None:
        super().__init__(reason=f"oauth:{reason}", recorded=recorded)
        self.headers = {}
        self.code = code
        self.detail = "The grant is not valid for this client."


class RefusedRequest(ServiceError):
    """A request for authorization that is refused. The client hears of it at its redirect address, which was found good."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, code: str, detail: str, *, redirect: str) -> None:
        super().__init__(detail, reason=f"oauth:{code}")
        self.code = code
        self.redirect = redirect

"""Signing in and out, and what was refused."""

from collections.abc import Sequence
from uuid import UUID

from backend.audit.details import Activity, Details


class AuthSucceeded(Details, action="auth:succeeded"):
    """Somebody signed in, or renewed a session."""

    method: str


class AuthFailed(Details, action="auth:failed"):
    """Credentials were refused."""

    method: str
    route: str | None = None


class AccessDenied(Details, action="access:denied"):
    """Somebody who is known was refused something: a route, or a question for which a budget has no room."""

    route: str | None = None
    turn: UUID | None = None


class PasswordChanged(Details, action="password:changed", activity=Activity.UPDATE):
    """A user has another password, by the old one or by a link."""

    method: str


class SessionEnded(Details, action="session:ended", activity=Activity.DELETE):
    """A user signed out."""

    ended: UUID


class ClientAllowed(Details, action="client:allowed", activity=Activity.CREATE, within="client"):
    """A person let a program act for them, or did not: for a resource, within a scope, in a session of its own."""

    id: str
    name: str
    resource: str | None = None
    scope: Sequence[str] | None = None
    session: UUID | None = None


class ClientHostChanged(Details, action="client_host:changed", activity=Activity.UPDATE, within="client_host"):
    """A tenant allows the programs of a host, or does so no more, which ends their sessions."""

    host: str
    change: str
    ended_sessions: int | None = None


class SecondFactorChanged(Details, action="second_factor:changed", activity=Activity.UPDATE, within="second_factor"):
    """A user set up a second factor, or has none any more."""

    id: UUID
    change: str


class SignInRuleChanged(Details, action="sign_in_rule:changed", activity=Activity.UPDATE, within="sign_in_rule"):
    """The tenant asks for a second factor, or does not any more."""

    second_factor_required: bool

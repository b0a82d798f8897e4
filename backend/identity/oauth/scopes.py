"""What a program may be given: to read. It never writes, approves or reveals, whatever the person who allows it may do."""

from collections.abc import Iterable

from backend.identity.callers.permissions import Permission

# A model is never one of four eyes, so that nothing which changes or reveals anything is among them.
OFFERED = frozenset(
    {Permission.RETRIEVAL_QUERY, Permission.ANSWERS_CREATE, Permission.DOCUMENTS_READ, Permission.AUDIT_READ}
)
# Clients ask for it to get a refresh token, which everyone gets here.
OFFLINE_ACCESS = "offline_access"


def asked_for(scope: str | None) -> frozenset[Permission]:
    """Returns the permissions that a scope names, all that are offered when it names none; raises ValueError."""
    names = [name for name in (scope or "").split(" ") if name and name != OFFLINE_ACCESS]
    wanted = frozenset(map(Permission, names)) or OFFERED
    if not wanted <= OFFERED:
        message = "a client may not have that"
        raise ValueError(message)
    return wanted


def spelled(permissions: Iterable[Permission]) -> str:
    """Returns permissions as a scope."""
    return " ".join(sorted(permissions))

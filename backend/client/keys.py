"""API keys, for who may manage them."""

from collections.abc import Sequence
from typing import Unpack
from uuid import UUID

from .connection import Connection
from .models import Key, KeyBounds, NewKey
from .reading import read
from .wire import as_json


class Keys:
    """The tenant's API keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        permissions: Sequence[str],
        collections: Sequence[str] = ("default",),
        **bounds: Unpack[KeyBounds],
    ) -> NewKey:
        """Creates a key that may do this, in these collections, within these bounds; raises Refused."""
        asked = {"name": name, "permissions": permissions, "collections": collections, **bounds}
        return read(NewKey, self._connection.post("/auth/keys", as_json(asked)))

    def list(self) -> tuple[Key, ...]:
        """Returns all keys, those that were revoked as well; raises Refused."""
        return tuple(read(Key, key) for key in self._connection.get("/auth/keys")["keys"])

    def rotate(self, key_id: UUID, overlap_seconds: int = 86_400) -> NewKey:
        """Gives a key another secret; the present one stays good for so long beside it. Raises Refused."""
        asked = {"overlap_seconds": overlap_seconds}
        return read(NewKey, self._connection.post(f"/auth/keys/{key_id}/rotate", asked))

    def revoke(self, key_id: UUID) -> None:
        """Ends a key at once; raises Refused."""
        self._connection.send("DELETE", f"/auth/keys/{key_id}")

"""Programs that ask to act for a person: who they say they are, and where codes for them may be sent.

A client is known by a document that it publishes at an address of its own, which is its id (Client ID Metadata Documents), if
the tenant allows that host; or it registered itself (RFC 7591), where the operator allows that. Nobody stores a client that
registered: its id is what it said of itself, sealed. All clients are public: they have no secret, and prove by PKCE that a
code is theirs.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.egress import Egress, RefusedAddress, checked
from backend.errors import InvalidInput, NotFound, Unauthenticated
from backend.identity.sign_in.seal import Seal
from backend.schema import Text

MOST_BYTES = 32 * 1024
_LONGEST_ID = 2_500  # of a client that registers: its requests, which a browser keeps in a cookie, hold more beside it
_REGISTERED = "registered."
_NO_REDIRECT = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss"})
# It stands in the page's security policy, where a semicolon or a space would begin something else.
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _shown_as_it_is(name: str) -> str:
    if not name.isprintable():
        message = "must hold no characters that cannot be seen"
        raise ValueError(message)
    return name


RedirectUri = Annotated[Text, Field(min_length=4, max_length=500, examples=["https://agent.example/callback"])]


class ClientMetadata(BaseModel):
    """What a client says of itself (RFC 7591, section 2), as far as it matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    redirect_uris: Annotated[list[RedirectUri], Field(min_length=1, max_length=20)]
    client_name: Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(_shown_as_it_is)] | None = None
    token_endpoint_auth_method: Literal["none"] = Field(default="none", description="Clients have no secret here.")


@dataclass(frozen=True, slots=True)
class Client:
    """A client. `host` published its document; None for one that registered itself, for whose name nobody vouches."""

    id: str
    name: str
    host: str | None
    redirect_uris: tuple[str, ...]

    def redirect(self, asked: str | None) -> str:
        """Returns where the answer goes; raises InvalidInput for an address that the client did not name."""
        if asked is None and len(self.redirect_uris) == 1:
            return self.redirect_uris[0]
        if asked is None or not any(_is_same(asked, known) for known in self.redirect_uris):
            raise InvalidInput("redirect_uri: is not one that this client named", reason="oauth:redirect_uri")
        return asked

    def may_be_told(self, redirect: str) -> bool:
        """Tells whether a browser may be led to an address before its person has agreed.

        Anybody can register a program, and would have this service lead people to any page (RFC 9700, section 4.11.2).
        """
        return self.host is not None or _is_on_own_machine(redirect)


@dataclass(frozen=True, slots=True)
class Clients:
    """Finds clients by their ids, and registers them."""

    egress: Egress
    seal: Seal
    registration: bool

    async def find(self, client_id: str, allowed_hosts: Collection[str]) -> Client:
        """Returns the client of an id; raises NotFound for one that is unknown, or whose host the tenant does not allow."""
        if client_id.startswith(_REGISTERED):
            return self._registered(client_id)
        return await self._published(client_id, allowed_hosts)

    def still_takes(self, client_id: str, allowed_hosts: Collection[str]) -> bool:
        """Tells whether the operator and the tenant still allow a client that was found once."""
        if client_id.startswith(_REGISTERED):
            return not self.is_turned_off(client_id)
        return any(client_id.startswith(_address_of(host)) for host in allowed_hosts)

    def is_turned_off(self, client_id: str) -> bool:
        """Tells whether a client registered itself, and the operator does not allow that any more."""
        return client_id.startswith(_REGISTERED) and not self.registration

    def register(self, metadata: ClientMetadata) -> str:
        """Returns the id of a client that registers itself; raises NotFound where that is off, and InvalidInput."""
        if not self.registration:
            raise NotFound("Clients cannot register themselves here.", reason="oauth:registration_off")
        _refuse_redirects(metadata.redirect_uris)
        said = {"name": metadata.client_name or "", "redirect_uris": metadata.redirect_uris}
        client_id = _REGISTERED + self.seal.close(orjson.dumps(said))
        if len(client_id) > _LONGEST_ID:
            raise InvalidInput("redirect_uris: are too long altogether")
        return client_id

    def _registered(self, client_id: str) -> Client:
        if not self.registration:
            raise NotFound("Clients that registered themselves are not taken here.", reason="oauth:registration_off")
        try:
            said = orjson.loads(self.seal.open(client_id.removeprefix(_REGISTERED)))
        except Unauthenticated as error:
            raise NotFound("This client is not known.", reason="oauth:client") from error
        return Client(client_id, said["name"] or "A program without a name", None, tuple(said["redirect_uris"]))

    async def _published(self, client_id: str, allowed_hosts: Collection[str]) -> Client:
        try:
            parts = checked(client_id)
            # An id is spelled in one way: the programs of a host that is taken away are found by it.
            known = parts.netloc in allowed_hosts and client_id.startswith(_address_of(parts.netloc))
            if parts.path == "/" or not known:
                raise NotFound(
                    "Your institution does not allow this program. Ask an administrator to allow its host.",
                    reason="oauth:client_host",
                )
            document = orjson.loads(await self.egress.get(client_id, most_bytes=MOST_BYTES))
            metadata = _metadata(document, client_id)
        except (RefusedAddress, ValueError) as error:
            raise NotFound("The program's description cannot be read.", reason="oauth:client_document") from error
        return Client(client_id, metadata.client_name or parts.netloc, parts.netloc, tuple(metadata.redirect_uris))


def _address_of(host: str) -> str:
    return f"https://{host}/"


def _is_on_own_machine(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _metadata(document: Any, client_id: str) -> ClientMetadata:  # noqa: ANN401 - whatever a server answers
    """Returns a client's description; raises ValueError for one of somebody else, or that holds a secret."""
    if not isinstance(document, dict) or document.get("client_id") != client_id or "client_secret" in document:
        message = "The document does not describe this client."
        raise ValueError(message)
    try:
        metadata = ClientMetadata.model_validate(document)
        _refuse_redirects(metadata.redirect_uris)
    except (ValidationError, InvalidInput) as error:
        raise ValueError(str(error)) from error
    return metadata


def _refuse_redirects(uris: Collection[str]) -> None:
    """Raises InvalidInput for an address to which no code may go: plain HTTP, but to the same machine, or a script."""
    for uri in uris:
        try:
            parts = urlsplit(uri)
            plain = parts.scheme == "http" and parts.hostname not in _LOOPBACK
        except ValueError:
            plain = True
        if plain or not parts.scheme or parts.scheme in _NO_REDIRECT or parts.fragment or not uri.isprintable():
            raise InvalidInput(
                "redirect_uris: must be https, http to the own machine, or a scheme of the program's own"
            )
        if parts.scheme in {"http", "https"} and not _HOST_AND_PORT.fullmatch(parts.netloc):
            raise InvalidInput("redirect_uris: must name a host, and no user")


def _is_same(asked: str, known: str) -> bool:
    """Compares exactly, but for the port of a program on the visitor's own machine (RFC 8252, section 7.3)."""
    if asked == known:
        return True
    if not asked.isprintable():
        return False
    try:
        one, other = urlsplit(asked), urlsplit(known)
        loopback = one.scheme == other.scheme == "http" and one.hostname == other.hostname and one.hostname in _LOOPBACK
        loopback = loopback and _HOST_AND_PORT.fullmatch(one.netloc) is not None
        _ = one.port
    except ValueError:
        return False
    without_port = (
        (one.path, one.query, one.fragment, one.username),
        (other.path, other.query, other.fragment, other.username),
    )
    return loopback and without_port[0] == without_port[1]

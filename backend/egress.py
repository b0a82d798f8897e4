"""Calls addresses that others name: over HTTPS, on public hosts, within bounds, following no redirect.

Whoever names an address could name one inside: the host is resolved once, every address that it has must be public, and the
connection goes to exactly the one that was looked at, so that a name cannot point elsewhere a moment later (DNS rebinding).
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

import httpx

from backend.tls import shared

TIMEOUT_SECONDS = 5
_HTTP, _HTTPS = 80, 443
_OWN_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
_MOST_CHARACTERS = 2_000  # of an address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network(
    "2000::/3"
)  # all that was ever given to anyone; what else there is leads to networks of one's own
_RESERVED = (
    ipaddress.IPv6Network("3fff::/20"), ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"),
)  # fmt: skip
# Apart from the threads that files are read and written in: names that nobody answers for hold up other names alone.
_RESOLVING = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolving")


class RefusedAddress(ValueError):
    """The address is not one that may be called, or what it answers cannot be used."""


class ServerAway(RefusedAddress):
    """There is no server at the address, or it does not answer in time; another time it may."""


class UntrustedServer(ServerAway):
    """Whoever answers does not prove by its certificate that it is the server of that name."""


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that the operator allows for a purpose; `plain` lets those of this machine do without TLS."""

    hosts: Sequence[str]
    plain: bool = False
    calls: ClassVar[str] = "calls"  # what goes there

    def host_of(self, url: str) -> str:
        """Returns the host of an address that may be called; raises RefusedAddress."""
        if not url.isascii() or len(url) > _MOST_CHARACTERS or " " in url:
            raise RefusedAddress("The address must be ASCII, without spaces.")
        parts = checked(url, plain=self.plain)
        host = parts.hostname or ""
        self.check(host, parts.port or (_HTTPS if parts.scheme == "https" else _HTTP))
        return host

    def check(self, host: str, port: int) -> None:
        """Raises RefusedAddress for a host that the operator does not allow, or allows on another port."""
        if not any(self._covers(allowed, host, port) for allowed in self.hosts):
            raise RefusedAddress(f"The operator of this service does not allow {self.calls} to this host.")

    @staticmethod
    def _covers(allowed: str, host: str, port: int) -> bool:
        """Tells whether an entry covers a host: by name, as a name below it, or as any; `:PORT` means that port alone."""
        allowed, _, only = allowed.partition(":")
        if only and int(only) != port:
            return False
        return allowed in {"*", host} or (allowed.startswith("*.") and host.endswith(allowed[1:]))


def outside_client() -> httpx.AsyncClient:
    """Returns a client that keeps nothing between two calls: neither cookies, nor connections.

    Those go to addresses, and a server that proved one name at an address has not proved another that is there as well. It uses
    no proxy of the environment, which would connect elsewhere than to the address that was looked at, and no netrc file.
    """
    cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    # The operator's own certificate authorities (SSL_CERT_FILE) are trusted all the same.
    trusted = shared(httpx.create_ssl_context)
    return httpx.AsyncClient(
        limits=httpx.Limits(max_keepalive_connections=0), cookies=cookies, verify=trusted, trust_env=False
    )


@dataclass(frozen=True, slots=True)
class Egress:
    """Calls public HTTPS servers. With `own_machine` also this machine's, for trying out only; with `plain` these without TLS."""

    client: httpx.AsyncClient
    own_machine: bool = False
    plain: bool = False

    async def get(self, url: str, *, most_bytes: int) -> bytes:
        """Returns the body of a 200; raises RefusedAddress for everything else."""
        received = bytearray()
        async with self.asked("GET", url, {"Accept": "application/json"}, None, TIMEOUT_SECONDS) as response:
            if response.status_code != httpx.codes.OK:
                raise RefusedAddress(f"The server answers {response.status_code}.")
            async for piece in response.aiter_bytes():
                received += piece
                if len(received) > most_bytes:
                    raise RefusedAddress("The server's answer is too large.")
        return bytes(received)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> int:
        """Returns the status that a server answers within so many seconds; what else it says is not read.

        Raises RefusedAddress, and ServerAway for one that does not answer.
        """
        async with self.asked("POST", url, headers, body, seconds) as response:
            return response.status_code

    @asynccontextmanager
    async def asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> AsyncIterator[httpx.Response]:
        """Yields what a server answers, to be read within so many seconds; raises RefusedAddress, ServerAway, UntrustedServer."""
        parts = checked(url, plain=self.plain)
        port = parts.port or (_HTTPS if parts.scheme == "https" else _HTTP)
        try:
            async with asyncio.timeout(seconds):
                address = await self.resolved(parts.hostname or "", port)
                literal = f"[{address}]" if ":" in address else address
                async with self.client.stream(
                    method,
                    parts._replace(netloc=f"{literal}:{port}").geturl(),
                    headers={"Host": parts.netloc, **headers},
                    content=body,
                    extensions={"sni_hostname": parts.hostname},
                    follow_redirects=False,
                ) as response:
                    yield response
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as error:  # the last of records after a handshake
            if _distrusts(error):
                raise UntrustedServer("The server's certificate is not trusted.") from error
            raise ServerAway("The server does not answer.") from error

    async def resolved(self, host: str, port: int) -> str:
        """Returns an address of a host all of whose addresses may be called; raises RefusedAddress."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
                found = await loop.run_in_executor(_RESOLVING, asked)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise ServerAway("The host is not known.") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._may_be_called, addresses)):
            raise RefusedAddress("The host is not public.")
        return addresses[0]

    def _may_be_called(self, address: str) -> bool:
        return all((self.own_machine and ip.is_loopback) or _is_public(ip) for ip in _reached(address))


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if ip.version == 6 and ip not in _UNICAST and ip not in _NAT64:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in reserved for reserved in _RESERVED)


def _distrusts(error: BaseException | None) -> bool:
    """Tells whether an error comes of a certificate: the client's libraries wrap it in their own."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reached(address: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Returns an address and those of IPv4 to which a gateway would translate it (RFC 4291, 3056, 4380, 6052)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped:  # which is no address of its own
        return [ip.ipv4_mapped]
    translated = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else None
    return [ip, *(inner for inner in (ip.sixtofour, *(ip.teredo or ()), translated) if inner)]


def checked(url: str, *, plain: bool = False) -> SplitResult:
    """Returns the parts of an address that may be called; raises RefusedAddress for one that is not plain HTTPS.

    With `plain`, HTTP will do on this machine.
    """
    try:
        parts = urlsplit(url)
        secured = parts.scheme == "https" or (plain and parts.scheme == "http" and parts.hostname in _OWN_MACHINE)
        usable = secured and parts.hostname and parts.port != 0
    except ValueError as error:
        raise RefusedAddress("The address is malformed.") from error
    if (
        not usable
        or parts.username is not None
        or parts.password is not None
        or parts.fragment
        or not url.isprintable()
    ):
        raise RefusedAddress("The address must be https, without user name and fragment.")
    return parts

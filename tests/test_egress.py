"""Fetching from addresses that others name: only public ones over TLS, whatever a name says a moment later."""

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.egress import Egress, RefusedAddress, ServerAway, outside_client
from backend.errors import NotFound
from backend.identity.oauth.clients import Clients
from backend.identity.sign_in.seal import Seal

pytestmark = pytest.mark.anyio


def certificate_of_localhost(folder: Path) -> Path:
    """A certificate of `localhost` that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def serving(folder: Path, answers: dict[str, bytes]) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    """A server with TLS on this machine, and a client that trusts it."""
    certificate = certificate_of_localhost(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split(b" ")[1].decode()
        while (await reader.readline()).strip():
            pass
        writer.write(answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with server, httpx.AsyncClient(verify=trusting) as client:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", client


def response(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


async def test_a_server_is_called_by_its_name_at_the_address_that_was_looked_at(tmp_path: Path) -> None:
    async with serving(tmp_path, {"/a?b=c": response(b"hello")}) as (url, client):
        assert await Egress(client, own_machine=True).get(f"{url}/a?b=c", most_bytes=100) == b"hello"


async def test_no_proxy_of_the_environment_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, {"/": response(b"hello")}) as (url, _):
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
        async with outside_client() as client:
            assert await Egress(client, own_machine=True).get(f"{url}/", most_bytes=100) == b"hello"


async def test_what_a_server_answers_is_bounded_and_leads_nowhere(tmp_path: Path) -> None:
    answers = {
        "/large": response(b"x" * 101),
        "/moved": response(b"", "302 Found", "Location: https://localhost/elsewhere\r\n"),
        "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx",
    }
    async with serving(tmp_path, answers) as (url, client):
        for path in (*answers, "/missing"):
            with pytest.raises(RefusedAddress):
                await Egress(client, own_machine=True).get(url + path, most_bytes=100)


async def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, {"/": response(b"hello")}) as (url, _), httpx.AsyncClient(timeout=60) as client:
        with pytest.raises(RefusedAddress):
            await Egress(client, own_machine=True).get(f"{url}/", most_bytes=100)


async def test_a_server_that_breaks_off_its_encryption_does_not_answer(tmp_path: Path) -> None:
    certificate = certificate_of_localhost(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def break_off(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as encrypted:
            encrypted.recv(4096)
            with socket.socket(fileno=os.dup(encrypted.fileno())) as plain:
                plain.sendall(b"this is no record of TLS")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        breaking = asyncio.create_task(asyncio.to_thread(break_off, listener))
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(verify=trusting) as client:
            with pytest.raises(ServerAway):
                await Egress(client, own_machine=True).get(
                    f"https://localhost:{listener.getsockname()[1]}/", most_bytes=100
                )
        await breaking


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://10.1.2.3/",
        "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data", "https://0.0.0.0/", "https://[fe80::1]/",
        "https://100.64.0.1/", "https://224.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[fd00::1]/",
        "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a00:1::]/", "https://[2001:0:a00:1::]/",
        "https://[64:ff9b:1::a00:1]/", "https://[fec0::1]/", "https://[::a00:1]/", "https://[::ffff:0:a00:1]/", "https://[3fff::1]/",
        "https://[5f00::1]/", "https://192.0.0.8/", "https://192.88.99.1/",
        "http://example.com/", "ftp://example.com/", "https://user@example.com/", "https://example.com/#x", "https:///x",
        "https://exa\nmple.com/", "//example.com", "https://example.com:0/", "https://[", "file:///etc/passwd",
    ],
)  # fmt: skip
async def test_addresses_inside_and_of_other_kinds_are_refused(url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        with pytest.raises(RefusedAddress, match=r"must be https|malformed|not public|not known"):
            await Egress(client).get(url, most_bytes=100)


async def test_a_name_with_one_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server of names answers that mixes a public address with one inside; who asks it holds up no other threads."""
    mixed = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    threads = list[str]()

    def resolved(*_: Any, **__: Any) -> Any:
        threads.append(threading.current_thread().name)
        return mixed

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert ipaddress.ip_address("93.184.216.34").is_global
    async with httpx.AsyncClient(timeout=60) as client:
        with pytest.raises(RefusedAddress, match="not public"):
            await Egress(client).get("https://mixed.example/", most_bytes=100)
    assert [name.rpartition("_")[0] for name in threads] == ["resolving"]


def described(url: str, **changed: Any) -> bytes:
    said = {"client_id": url, "client_name": "Agent", "redirect_uris": ["https://agent.example/back"]} | changed
    return response(orjson.dumps({name: value for name, value in said.items() if value is not None}))


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "https://other.example/client.json"}, {"client_secret": "x"}, {"redirect_uris": []},
        {"redirect_uris": None}, {"redirect_uris": ["javascript:alert(1)"]}, {"token_endpoint_auth_method": "client_secret_basic"},
        {"client_name": "x" * 101}, {"redirect_uris": ["http://elsewhere.example/"]},
    ],
)  # fmt: skip
async def test_a_program_is_what_its_own_document_says(tmp_path: Path, changed: dict[str, Any]) -> None:
    answers: dict[str, bytes] = {}
    async with serving(tmp_path, answers) as (url, client):
        host, clients = (
            url.removeprefix("https://"),
            Clients(Egress(client, own_machine=True), Seal("k" * 32, "x"), registration=False),
        )
        answers["/good.json"], answers["/bad.json"] = (
            described(f"{url}/good.json"),
            described(f"{url}/bad.json", **changed),
        )
        found = await clients.find(f"{url}/good.json", [host])
        assert (found.name, found.host, found.redirect(None)) == ("Agent", host, "https://agent.example/back")
        for client_id, hosts in (
            (f"{url}/bad.json", [host]),
            (f"{url}/good.json", ["other.example"]),
            (url, [host]),
            (f"{url}/", [host]),
        ):
            with pytest.raises(NotFound):
                await clients.find(client_id, hosts)

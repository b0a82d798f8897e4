"""Hostile requests over a real socket: malformed tokens, oversized headers, and what a fuzzer of the API makes up."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backend.identity.callers.permissions import Role
from backend.identity.sign_in.compact_jws import MAX_CHARACTERS
from tests.identity import hostile_tokens as hostile
from tests.service import Service, Tenant, sealing

pytestmark = pytest.mark.anyio

TOKENS = {
    f"{kind}: {name}": token
    for kind, group in (("form", hostile.NOT_COMPACT), ("size", hostile.TOO_LARGE), ("header", hostile.BAD_HEADER))
    for name, token in group.items()
}
EXAMPLES = 2  # of every route, beside those that cover its schema
SEED = 20260101


async def _status(address: str, *headers: bytes) -> int:
    """Sends raw octets, since a client library would not; 0 when the server hangs up without an answer."""
    reader, writer = await asyncio.open_connection(urlsplit(address).hostname, urlsplit(address).port)
    try:
        writer.write(
            b"\r\n".join([b"GET /auth/me HTTP/1.1", b"Host: service.test", b"Connection: close", *headers, b"", b""])
        )
        line = await reader.readline()
        return int(line.split(b" ")[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()


@pytest.mark.parametrize("name", TOKENS)
async def test_a_malformed_token_is_refused_and_never_an_error_of_ours(address: str, name: str) -> None:
    token = TOKENS[name].encode("utf-8", "surrogatepass")
    status = await _status(address, b"Authorization: Bearer " + token)
    expected = {401}
    if len(token) > MAX_CHARACTERS * 4:
        expected |= {400, 431, 0}  # the HTTP server refuses it before us
    if any(octet in token for octet in b"\r\n\0"):
        expected |= {400}  # no header at all
    if name == "form: leading space" or name.endswith(
        ("trailing space", "trailing newline", "trailing carriage return")
    ):
        expected |= {401, 400}
    assert status in expected


async def test_oversized_headers_are_refused(address: str) -> None:
    for headers in (
        [b"X-Padding: " + b"x" * 1_000_000],
        [b"X-%d: %s" % (number, b"x" * 4_000) for number in range(200)],
        [b"Authorization: Bearer " + b"x" * 500_000],
        [b"Cookie: " + b"a=b; " * 100_000],
    ):
        assert await _status(address, *headers) in {400, 401, 431, 0}
    assert await _status(address) == 401


# All checks are on, but that valid data is accepted: `unstated_rules` checks that, knowing what no schema can state. Without
# credentials, the fuzzer would take the route that creates users for signing up.
CONFIGURATION = """
[auth]
auto-signup = false

[checks]
positive_data_acceptance.enabled = false
"""
RULES = Path(__file__).with_name("unstated_rules.py")
CALLERS = ("anonymous", *(role.value for role in Role))
USUAL_CALLERS = ("admin", "compliance")  # between them they reach most routes; `make fuzz` goes on with everybody


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLERS)
async def test_a_fuzzer_of_the_served_openapi_document_finds_nothing(
    service: Service, tenant: Tenant, address: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    examples = request.config.getoption("--fuzz-examples")
    if not examples and name not in USUAL_CALLERS:
        pytest.skip("only with --fuzz-examples")
    headers = {} if name == "anonymous" else await service.as_user(tenant, name)
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    arguments = [
        "--config-file", "schemathesis.toml", "run", f"{address}/openapi.json",
        *(f"--header={header}:{value}" for header, value in headers.items()),
        "--seed", str(SEED), "--max-examples", str(examples or EXAMPLES), "--workers", "1", "--no-color",
        "--generation-database", "none", "--request-timeout", "30", "--suppress-health-check", "all", "--no-shrink",
        "--warnings", "off", "--max-failures", "40", "--continue-on-failure",
    ]  # fmt: skip
    async with sealing(service.database):
        fuzzer = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("st")), *arguments, cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200", "SCHEMATHESIS_HOOKS": RULES.stem, "PYTHONPATH": str(RULES.parent)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await fuzzer.communicate()
    assert fuzzer.returncode == 0, output.decode()[-6000:]

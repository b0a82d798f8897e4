"""An OpenID provider on this machine that publishes whatever a test wants, and counts who asks."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from backend.identity.sign_in.compact_jws import to_base64url

CLIENT = "affidavit-client"
DISCOVERY, JWKS, TOKEN = "/.well-known/openid-configuration", "/jwks", "/token"


def new_key(kid: str, algorithm: str = "ES256") -> ECKey | RSAKey:
    members = {"kid": kid, "alg": algorithm, "use": "sig"}
    if algorithm.startswith("ES"):
        return ECKey.generate_key("P-256", members)
    return RSAKey.generate_key(2048, members)


class LoopbackProvider:
    """Serves discovery, keys and tokens on a free port. `answers` replaces what a path answers."""

    def __init__(self) -> None:
        self.keys: list[ECKey | RSAKey] = [new_key("first")]
        self.answers: dict[str, Callable[[], tuple[int, bytes]]] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.id_token = ""
        self.announced: dict[str, Any] = {}  # more of the metadata; None for nothing
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False  # so that closing waits for every answer, and leaves no socket open
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def metadata(self) -> dict[str, Any]:
        endpoints = {"authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": self.issuer + TOKEN}
        more = {name: value for name, value in self.announced.items() if value is not None}
        return {"issuer": self.issuer, **endpoints, "jwks_uri": self.issuer + JWKS, **more}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good token says, except for what is changed; None leaves a claim out."""
        now = int(time.time())
        good = {
            "iss": self.issuer, "aud": CLIENT, "sub": "subject-1", "iat": now, "exp": now + 300, "groups": ["Risk"],
            "preferred_username": "Jane.Doe", "jti": secrets.token_hex(8),
        }  # fmt: skip
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def token(self, *, key: ECKey | RSAKey | None = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A signed token; `header` replaces members of a good header."""
        key = key or self.keys[0]
        members = {"alg": key.alg, "kid": key.kid, **(header or {})}
        members = {name: value for name, value in members.items() if value is not None}
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in (members, self.claims(**changed))]
        signed = b".".join(to_base64url(part).encode() for part in parts)
        return f"{signed.decode()}.{to_base64url(JWSRegistry.algorithms[members['alg']].sign(signed, key))}"

    def count(self, path: str) -> int:
        return self.asked.count(path)

    def _respond(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]()
        bodies: dict[str, Any] = {
            DISCOVERY: self.metadata(),
            JWKS: {"keys": [key.as_dict(private=False) for key in self.keys]},
            TOKEN: {"id_token": self.id_token, "access_token": "opaque", "token_type": "Bearer"},
        }
        return (200, json.dumps(bodies[path]).encode()) if path in bodies else (404, b"{}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class ProviderHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                self._answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                provider.forms.append({**form, "authorization": self.headers.get("Authorization", "")})
                self._answer()

            def _answer(self) -> None:
                status, body = provider._respond(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", f"{provider.issuer}/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return ProviderHandler

    @contextmanager
    def serving(self) -> Iterator["LoopbackProvider"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

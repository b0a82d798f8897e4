"""A server on loopback that speaks the part of Vault's transit API that we use, as its documentation describes it."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@dataclass
class TransitServer:
    """One derived transit key `payloads`; a sealed Vault answers 503."""

    token: str
    url: str = ""
    sealed: bool = False
    calls: list[str] = field(default_factory=list)
    _root: bytes = field(default_factory=lambda: os.urandom(32))

    def answer(self, path: str, token: str | None, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        operation = {"/v1/transit/encrypt/payloads": self._encrypt, "/v1/transit/decrypt/payloads": self._decrypt}.get(
            path
        )
        if operation is None:
            return 404, {"errors": []}
        try:
            context = base64.b64decode(body["context"])
            derived = HKDF(hashes.SHA256(), 32, salt=None, info=context).derive(self._root)
            data = operation(AESGCM(derived), body)
        except (InvalidTag, ValueError, KeyError) as error:
            return 400, {"errors": [f"{type(error).__name__}: wrong ciphertext, or no context for a derived key"]}
        self.calls.append(path)
        return 200, {"request_id": "1", "lease_id": "", "renewable": False, "lease_duration": 0, "data": data}

    def _encrypt(self, key: AESGCM, body: dict[str, str]) -> dict[str, Any]:
        nonce = os.urandom(12)
        sealed = nonce + key.encrypt(nonce, base64.b64decode(body["plaintext"]), None)
        return {"ciphertext": f"vault:v1:{base64.b64encode(sealed).decode()}", "key_version": 1}

    def _decrypt(self, key: AESGCM, body: dict[str, str]) -> dict[str, Any]:
        _vault, _version, text = body["ciphertext"].split(":")
        sealed = base64.b64decode(text)
        return {"plaintext": base64.b64encode(key.decrypt(sealed[:12], sealed[12:], None)).decode()}


@contextmanager
def transit_server(token: str) -> Iterator[TransitServer]:
    vault = TransitServer(token)

    class TransitHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = vault.answer(self.path, self.headers["X-Vault-Token"], body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), TransitHandler) as server:
        vault.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield vault
        finally:
            server.shutdown()
            thread.join()

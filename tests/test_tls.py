"""Certificate authorities are read once, and anew where the environment names others."""

import ssl
from pathlib import Path

import pytest

from backend.tls import shared


def test_authorities_are_read_once_for_each_library_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def one() -> ssl.SSLContext:
        made.append("one")
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def another() -> ssl.SSLContext:
        made.append("another")
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    assert shared(one) is shared(one)
    assert shared(one) is not shared(another)
    assert made == ["one", "another"]
    before = shared(one)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    assert shared(one) is not before
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    shared(one)
    assert made == ["one", "another", "one", "one"]

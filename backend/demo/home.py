"""What `affidavit demo` keeps in its home folder: secrets made at first start, addresses, credentials."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.ledger.checkpoints import SigningKey

CHECKPOINT_KEY_NAME = "affidavit-demo"
_ROLES = ("superuser", "owner", "runtime", "sealer", "operator")


class DemoHomeInUse(Exception):
    """Another demo runs on the folder."""


class DemoHome:
    """The folder of one demo."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps the folder from a second demo, which would stop the first one's PostgreSQL; raises DemoHomeInUse."""
        with (self.folder / "demo.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = f"a demo runs on {self.folder} already; set AFFIDAVIT_HOME to another folder"
                raise DemoHomeInUse(message) from error
            yield

    def secrets(self) -> dict[str, str]:
        """Returns the demo's secrets, made at first use."""
        path = self.folder / "secrets.json"
        if not path.exists():
            passwords = Passwords.generate()
            made = {name: secrets.token_urlsafe(48) for name in ("context_key", "payload_key")}
            made["jwt_private_key"] = generate_private_key_pem()
            made["checkpoint_key"] = SigningKey.generate(CHECKPOINT_KEY_NAME).pem().decode()
            made |= {f"{role}_password": getattr(passwords, role) for role in _ROLES}
            write_private(path, made)
        known: dict[str, str] = json.loads(path.read_text())
        return known

    def postgres(self) -> EmbeddedPostgres:
        """Returns the demo's PostgreSQL, not started yet."""
        known = self.secrets()
        passwords = Passwords(*(known[f"{role}_password"] for role in _ROLES))
        return EmbeddedPostgres(self.folder / "postgres", passwords)

    def checkpoint_public_key(self) -> str:
        """Returns the line that verifies checkpoints, and keeps it in `checkpoint-key.pub`."""
        key = SigningKey.load(CHECKPOINT_KEY_NAME, self.secrets()["checkpoint_key"].encode())
        line = str(key.verifier_key)
        _write_private_text(self.folder / "checkpoint-key.pub", f"{line}\n")
        return line

    @property
    def credentials_path(self) -> Path:
        """Where the demo's users and keys are written."""
        return self.folder / "demo-credentials.json"


def write_private(path: Path, content: Any) -> None:  # noqa: ANN401 - any JSON
    """Writes JSON that only the owner of the file may read, whole or not at all."""
    _write_private_text(path, json.dumps(content, indent=2) + "\n")


def _write_private_text(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)

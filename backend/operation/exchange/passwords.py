"""The passwords of PostgreSQL's roles: a role has one, so processes are told the next one before the server is."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from backend.database import connect
from backend.operation.exchange.folder import SecretsFolder

# The setting with the address of each role, and whose it is.
ADDRESSES = {
    "owner": ("migrate", "database_url"),
    "runtime": ("serve", "runtime_database_url"),
    "sealer": ("sealer", "sealer_database_url"),
    "operator": ("serve", "operator_database_url"),
}
_ALSO = {"runtime": ("worker", "operator"), "owner": ("operator",)}
_SERVING = {"serve": ("runtime", "operator"), "worker": ("runtime",), "sealer": ("sealer",)}
_ITERATIONS = 4096


@dataclass(frozen=True, slots=True)
class DatabasePasswords:
    """Open the database to each process."""

    name: str = "passwords"

    async def learn(self, folder: SecretsFolder) -> None:
        """Lets processes try the new ones where the old ones are refused."""
        for role, (process, setting) in ADDRESSES.items():
            folder.under_way(self.name, f"{role}-old", lambda at=(process, setting): folder.text(*at))  # type: ignore[misc]
        self._give_others(folder, "new")

    async def write(self, folder: SecretsFolder) -> None:
        """Changes each role's password, as that role; the server never sees it, only what verifies it."""
        for role, (process, setting) in ADDRESSES.items():
            old, new = folder.under_way(self.name, f"{role}-old", str), self._new(folder, role)
            connection = await connect(old, other_passwords=[new])
            try:
                # The role is a name of ours, the verifier base64 and digits: a statement of this kind takes no parameters.
                await connection.execute(f"alter role affidavit_{role} password '{scram_verifier(new)}'")
            finally:
                await connection.close()
            folder.give((process, *_ALSO.get(role, ())), **{setting: with_password(old, new)})
            variable = f"AFFIDAVIT_{role.upper()}_PASSWORD="
            folder.replace_line("database.env", variable, f"{variable}{new}")
        self._give_others(folder, "old")

    async def forget(self, folder: SecretsFolder) -> None:
        """Lets nobody try the old ones any more."""
        folder.give(tuple(_SERVING), database_other_passwords="")

    def _new(self, folder: SecretsFolder, role: str) -> str:
        return folder.under_way(self.name, f"{role}-new", lambda: secrets.token_hex(24))

    def _give_others(self, folder: SecretsFolder, which: str) -> None:
        for process, roles in _SERVING.items():
            told = []
            for role in roles:
                old = urlsplit(folder.under_way(self.name, f"{role}-old", str)).password or ""
                told.append(self._new(folder, role) if which == "new" else old)
            folder.give((process,), database_other_passwords=json.dumps(told))


def with_password(url: str, password: str) -> str:
    """Returns an address with another password."""
    parts = urlsplit(url)
    _, _, hosts = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{quote(password, safe='')}@{hosts}"))


def scram_verifier(password: str) -> str:
    """Returns what PostgreSQL stores of a password (RFC 5803), so that the password is in no statement and no server log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"

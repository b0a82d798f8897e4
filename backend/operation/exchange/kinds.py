"""What is exchanged, and how: of each kind all processes learn the new key, then write with it, then forget the old one."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import asyncpg
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import SecretStr

from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.ledger.checkpoints import SigningKey
from backend.operation.exchange.folder import SecretsFolder
from backend.operation.rehashing import opened
from backend.operation.rotation import Wrapping, add_context_key, all_wrapped, retire_context_key, rewrap
from backend.operation.service import OperatorError
from backend.settings import Settings
from backend.tenancy import ContextSigner

# A token holds for 15 minutes, and a process that is not replaced yet may still have signed one meanwhile.
TOKENS_HOLD = timedelta(minutes=30)


class Exchangeable(Protocol):
    """One kind of key. Each step can be repeated, and leaves the service answering."""

    @property
    def name(self) -> str:
        """What it is called at the command line."""

    async def learn(self, folder: SecretsFolder) -> None:
        """Makes the new key, and lets processes accept it."""

    async def write(self, folder: SecretsFolder) -> None:
        """Lets processes use the new key, and still accept the old one."""

    async def forget(self, folder: SecretsFolder) -> None:
        """Lets nobody accept the old key any more; raises OperatorError when that is too soon."""


@dataclass(frozen=True, slots=True)
class ContextKeys:
    """Sign the contexts that PostgreSQL verifies."""

    name: str = "context"

    async def learn(self, folder: SecretsFolder) -> None:
        """Has the database verify both."""
        folder.under_way(self.name, "old", lambda: folder.text("serve", "context_key"))
        new = folder.under_way(self.name, "new", _random)
        owner = await asyncpg.connect(folder.text("migrate", "database_url"))
        try:
            await add_context_key(owner, ContextSigner(new))
        finally:
            await owner.close()

    async def write(self, folder: SecretsFolder) -> None:
        """Gives the new key to who signs."""
        folder.give(("serve", "worker", "migrate", "operator"), context_key=folder.under_way(self.name, "new", _random))

    async def forget(self, folder: SecretsFolder) -> None:
        """Has the database verify the new one alone."""
        old, _, _ = ContextSigner(folder.under_way(self.name, "old", str)).padded_key()
        owner = await asyncpg.connect(folder.text("migrate", "database_url"))
        try:
            if await owner.fetchval("select retired_at is null from tenancy.context_key where id = $1", old):
                await retire_context_key(owner, old)
        finally:
            await owner.close()


@dataclass(frozen=True, slots=True)
class PayloadKeys:
    """Wrap the keys of texts and files. `settings` say who else wraps some."""

    settings: Settings
    name: str = "payload"

    async def learn(self, folder: SecretsFolder) -> None:
        """Lets processes read what the new one will wrap. Words stay hashed under the first key of all."""
        old = folder.under_way(self.name, "old", lambda: folder.text("serve", "payload_key"))
        new = folder.under_way(self.name, "new", _random)
        search = folder.text("serve", "search_key") or old
        folder.give(("serve", "worker", "operator"), payload_other_keys=json.dumps([new]), search_key=search)

    async def write(self, folder: SecretsFolder) -> None:
        """Wraps with the new one, and reads what the old one wrapped."""
        old, new = (folder.under_way(self.name, which, _random) for which in ("old", "new"))
        folder.give(("serve", "worker", "operator"), payload_key=new, payload_other_keys=json.dumps([old]))

    async def forget(self, folder: SecretsFolder) -> None:
        """Wraps anew what the old one wrapped, and takes it away."""
        old, new = (folder.under_way(self.name, which, str) for which in ("old", "new"))
        async with all_wrapped(self.settings, folder.text("migrate", "database_url"), (new, old)) as (owner, wrapped):
            found = [await rewrap(owner, kind, lambda _: None) for kind in wrapped]
        if unknown := sum(counted[Wrapping.UNKNOWN] for counted in found):
            raise OperatorError(f"{unknown} are wrapped by a key that is not configured")
        folder.give(("serve", "worker", "operator"), payload_other_keys="")


@dataclass(frozen=True, slots=True)
class SearchKeys:
    """Hash the words by which texts are found. `settings` say who wraps the keys of those texts, if not a payload key."""

    settings: Settings
    name: str = "search"

    async def learn(self, folder: SecretsFolder) -> None:
        """Hashes the words of coming texts under both. Pseudonyms stay those of the first key of all."""
        first = folder.text("serve", "search_key") or folder.text("serve", "payload_key")
        old = folder.under_way(self.name, "old", lambda: first)
        new = folder.under_way(self.name, "new", _random)
        pseudonym = folder.text("serve", "pseudonym_key") or old
        folder.give(
            ("serve", "worker", "operator"),
            search_key=old,
            search_other_keys=json.dumps([new]),
            pseudonym_key=pseudonym,
        )

    async def write(self, folder: SecretsFolder) -> None:
        """Hashes the words of all texts under both, and then has them found by the new one."""
        old, new = (folder.under_way(self.name, which, str) for which in ("old", "new"))
        payload_keys = json.loads(folder.text("serve", "payload_other_keys") or "[]")
        reading = self.settings.model_copy(update={"payload_other_keys": list(map(SecretStr, payload_keys))})
        async with opened(
            reading, folder.text("migrate", "database_url"), folder.text("serve", "runtime_database_url"),
            folder.text("serve", "context_key"), folder.text("serve", "payload_key"), (old, new),
        ) as rehashing:  # fmt: skip
            await rehashing.run(lambda _: None)
        folder.give(("serve", "worker", "operator"), search_key=new, search_other_keys=json.dumps([old]))

    async def forget(self, folder: SecretsFolder) -> None:
        """Hashes no more under the old one. What it left goes by `affidavit keys rehash`, once no process hashes under it."""
        folder.give(("serve", "worker", "operator"), search_other_keys="")


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Sign access tokens."""

    name: str = "tokens"

    async def learn(self, folder: SecretsFolder) -> None:
        """Lets processes take tokens of the new one."""
        folder.under_way(self.name, "old", lambda: folder.text("serve", "jwt_private_key"))
        new = folder.under_way(self.name, "new", generate_private_key_pem)
        folder.give(("serve",), jwt_previous_public_keys=json.dumps([_public(new)]))

    async def write(self, folder: SecretsFolder) -> None:
        """Signs with the new one."""
        old, new = (folder.under_way(self.name, which, generate_private_key_pem) for which in ("old", "new"))
        folder.give(("serve",), jwt_private_key=new, jwt_previous_public_keys=json.dumps([_public(old)]))

    async def forget(self, folder: SecretsFolder) -> None:
        """Takes no token of the old one, once the last one has expired."""
        written = datetime.fromisoformat(folder.record()[self.name]["stepped"])
        if datetime.now(UTC) < (ends := written + TOKENS_HOLD):
            raise OperatorError(f"access tokens of the old key hold until {ends:%H:%M:%S} UTC; try again then")
        folder.give(("serve",), jwt_previous_public_keys="")


@dataclass(frozen=True, slots=True)
class CheckpointKeys:
    """Sign checkpoints. Both sign between the first step and the last, and each signs that the other is of the same log."""

    name: str = "checkpoints"

    async def learn(self, folder: SecretsFolder) -> None:
        """Has the sealer sign with both, and reviewers shown both."""
        named = folder.text("sealer", "checkpoint_key_name")
        folder.under_way(self.name, "old", lambda: folder.text("sealer", "checkpoint_key"))
        new = folder.under_way(self.name, "new", lambda: SigningKey.generate(named).pem().decode())
        folder.give(("sealer",), checkpoint_next_key=new)
        line = str(SigningKey.load(named, new.encode()).verifier_key)
        known = folder.text("serve", "checkpoint_public_key").split()
        published = "\n".join(dict.fromkeys([line, *known]))
        folder.give(("serve", "worker", "sealer", "operator"), checkpoint_public_key=published)
        folder.write("checkpoint-key.pub", f"{published}\n")

    async def write(self, folder: SecretsFolder) -> None:
        """Lets the new one take the old one's place, which both sign."""
        old, new = (folder.under_way(self.name, which, str) for which in ("old", "new"))
        folder.give(("sealer",), checkpoint_key=new, checkpoint_previous_key=old, checkpoint_next_key="")

    async def forget(self, folder: SecretsFolder) -> None:
        """Takes the old one away, once the handover is in the log's database."""
        named = folder.text("sealer", "checkpoint_key_name")
        line = str(SigningKey.load(named, folder.under_way(self.name, "new", str).encode()).verifier_key)
        owner = await asyncpg.connect(folder.text("migrate", "database_url"))
        try:
            told = await owner.fetchval(
                "select exists (select from audit.handover where position($1 in note) > 0)", line
            )
        finally:
            await owner.close()
        if not told:
            raise OperatorError("no sealer has signed the handover to the new checkpoint key yet: start it anew")
        folder.give(("sealer",), checkpoint_previous_key="")


def _random() -> str:
    return secrets.token_urlsafe(48)


def _public(private_pem: str) -> str:
    public = load_pem_private_key(private_pem.encode(), None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

"""Wraps data keys under a key-encryption key: a secret of ours, one in AWS KMS, or one in HashiCorp Vault."""

import base64
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import boto3
import httpx
from anyio import CapacityLimiter, to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.errors import AuditUnavailable
from backend.settings import Settings

NONCE_BYTES = 12
# A transaction may wait for the answer, so waiting is short.
_CONNECT_SECONDS, _READ_SECONDS = 1.0, 2.0
_CONCURRENT_CALLS = 8
_OF_VAULT = b"vault:v"  # as its ciphertexts begin, and none of another
_WRONG_CIPHERTEXT = {"InvalidCiphertextException", "IncorrectKeyException"}


class WrappedKeyInvalid(ValueError):
    """A wrapped key was changed, belongs to another data key, or was wrapped by another key-encryption key."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which data key a wrapped key is: it can be unwrapped under no other name."""

    tenant_id: UUID
    id: UUID

    def as_bytes(self) -> bytes:
        """Returns the name as the additional data of an AEAD."""
        return self.tenant_id.bytes + self.id.bytes

    def as_context(self) -> dict[str, str]:
        """Returns the name as an encryption context, which also shows in the logs of a KMS."""
        return {"tenant": str(self.tenant_id), "key": str(self.id)}


class KeyEncryption(Protocol):
    """Holds a key-encryption key, or knows who does."""

    async def wrap(self, name: KeyName, key: bytes) -> bytes:
        """Returns the key encrypted and bound to its name; raises AuditUnavailable."""

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """Returns the key; raises WrappedKeyInvalid, and AuditUnavailable when that cannot be found out."""


def derived(secret: str, purpose: str) -> bytes:
    """Returns the 32 bytes that a secret stands for in one use, independent of its other uses (HKDF, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())


class LocalKeyEncryption:
    """AES-256-GCM under a key derived from a secret of this process."""

    def __init__(self, secret: str) -> None:
        self._aead = AESGCM(derived(secret, "affidavit payload key encryption"))

    async def wrap(self, name: KeyName, key: bytes) -> bytes:
        """Encrypts here."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, name.as_bytes())

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """Decrypts here."""
        try:
            return self._aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name.as_bytes())
        except (InvalidTag, ValueError) as error:
            raise WrappedKeyInvalid from error


class AwsKeyEncryption:
    """Encrypt and Decrypt of AWS KMS with the name as encryption context; credentials and region come as boto3 finds them."""

    def __init__(self, key: str, endpoint_url: str | None = None) -> None:
        patience = Config(
            connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2}, max_pool_connections=_CONCURRENT_CALLS,
        )  # fmt: skip
        self._client = boto3.client("kms", endpoint_url=endpoint_url, config=patience)
        self._key = key
        # Threads of their own: a KMS that hangs must not keep others from theirs.
        self._calls = CapacityLimiter(_CONCURRENT_CALLS)

    async def wrap(self, name: KeyName, key: bytes) -> bytes:
        """Asks KMS to encrypt."""
        answer = await self._call(self._client.encrypt, name, Plaintext=key)
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """Asks KMS to decrypt, under this key only; not for what is Vault's, of which KMS may say that it denies access."""
        if wrapped.startswith(_OF_VAULT):
            raise WrappedKeyInvalid
        answer = await self._call(self._client.decrypt, name, CiphertextBlob=wrapped)
        key: bytes = answer["Plaintext"]
        return key

    async def _call(self, operation: Callable[..., Any], name: KeyName, **arguments: bytes) -> Any:  # noqa: ANN401 - as boto3 answers
        call = partial(operation, KeyId=self._key, EncryptionContext=name.as_context(), **arguments)
        try:
            return await to_thread.run_sync(call, limiter=self._calls)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _WRONG_CIPHERTEXT:
                raise WrappedKeyInvalid from error
            raise AuditUnavailable(reason=f"kms:{code}") from error
        except BotoCoreError as error:
            raise AuditUnavailable(reason=f"kms:{type(error).__name__}") from error


class VaultKeyEncryption:
    """The transit engine of HashiCorp Vault, by its HTTP API.

    The transit key must be made with `derived=true`: Vault ignores the context, which binds a key to its name, for others.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, key: str, token_file: Path, mount: str = "transit") -> None:
        self._client = client
        self._url, self._key, self._token_file = f"{url.rstrip('/')}/v1/{mount}", key, token_file

    async def wrap(self, name: KeyName, key: bytes) -> bytes:
        """Asks Vault to encrypt; what is stored is its text `vault:v<version>:…`."""
        answer = await self._post("encrypt", name, plaintext=_base64(key))
        return answer["ciphertext"].encode()

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """Asks Vault to decrypt what it wrapped."""
        if not wrapped.startswith(_OF_VAULT):
            raise WrappedKeyInvalid
        answer = await self._post("decrypt", name, ciphertext=wrapped.decode("ascii", "replace"))
        return base64.b64decode(answer["plaintext"])

    async def _post(self, operation: str, name: KeyName, **fields: str) -> dict[str, str]:
        try:
            answer = await self._client.post(
                f"{self._url}/{operation}/{self._key}", json={**fields, "context": _base64(name.as_bytes())},
                headers={"X-Vault-Token": self._token_file.read_text().strip()},
            )  # fmt: skip
            if answer.status_code == HTTPStatus.BAD_REQUEST and operation == "decrypt":
                raise WrappedKeyInvalid
            data: dict[str, str] = answer.raise_for_status().json()["data"]
        except (httpx.HTTPError, OSError) as error:
            raise AuditUnavailable(reason=f"vault:{type(error).__name__}") from error
        return data


class KeyEncryptions:
    """Wraps with the first of several, and unwraps what any of them wrapped: so that one can take another's place."""

    def __init__(self, first: KeyEncryption, *others: KeyEncryption) -> None:
        self.first = first
        self._all = (first, *others)

    async def wrap(self, name: KeyName, key: bytes) -> bytes:
        """Asks the first."""
        return await self.first.wrap(name, key)

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """Asks one after the other."""
        for encryption in self._all[:-1]:
            try:
                return await encryption.unwrap(name, wrapped)
            except WrappedKeyInvalid:
                continue
        return await self._all[-1].unwrap(name, wrapped)

    async def renewed(self, name: KeyName, wrapped: bytes) -> bytes | None:
        """Returns the key as the first wraps it; None when the first has wrapped it already. Raises WrappedKeyInvalid."""
        try:
            await self.first.unwrap(name, wrapped)
        except WrappedKeyInvalid:
            return await self.first.wrap(name, await self.unwrap(name, wrapped))
        return None


@asynccontextmanager
async def opened(settings: Settings, secrets: Sequence[str]) -> AsyncIterator[KeyEncryptions]:
    """Opens what the settings choose, and behind it what may have wrapped keys before; `secrets` do so in this process."""
    async with AsyncExitStack() as stack:
        others: list[tuple[str, KeyEncryption]] = []
        if settings.aws_kms_key is not None:
            others.append(("aws", AwsKeyEncryption(settings.aws_kms_key, settings.aws_kms_url)))
        if settings.vault_transit_key is not None:
            others.append(("vault", await _vault(settings, settings.vault_transit_key, stack)))
        known = [("local", LocalKeyEncryption(secret)) for secret in secrets]
        chosen = settings.key_encryption if settings.key_encryption != "auto" else (*others, *known)[0][0]
        ordered = sorted((*known, *others), key=lambda named: named[0] != chosen)  # of this process before servers
        yield KeyEncryptions(*(encryption for _, encryption in ordered))


async def _vault(settings: Settings, key: str, stack: AsyncExitStack) -> KeyEncryption:
    assert settings.vault_url is not None
    assert settings.vault_token_file is not None
    patience = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=patience, trust_env=False))
    return VaultKeyEncryption(client, settings.vault_url, key, settings.vault_token_file, settings.vault_transit_mount)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

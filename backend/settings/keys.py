"""Settings: secrets that sign contexts, and that encrypt and hash what is stored."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        message = "must have at least 32 characters"
        raise ValueError(message)
    return secret


Key = Annotated[SecretStr, AfterValidator(_long_enough)]


class KeySettings(BaseModel):
    """Secrets that sign contexts, and that encrypt and hash what is stored."""

    context_key: Key | None = Field(
        default=None, description="Signs the tenant context that row-level security verifies; at least 32 characters."
    )
    payload_key: Key | None = Field(
        default=None,
        description="Wraps the data keys that encrypt audit payloads, unless AWS KMS or Vault does; at least 32 characters.",
    )
    payload_other_keys: list[Key] = Field(
        default_factory=list,
        description="Payload keys that still read, or soon write: before a new one wraps anything, every process must know it.",
    )
    search_key: Key | None = Field(
        default=None,
        description="Hashes the words by which texts are searched, unless the payload key does; stays when that is exchanged.",
    )
    search_other_keys: list[Key] = Field(
        default_factory=list,
        description="Other search keys under which words are hashed as well: one that texts will be found by, or no longer are.",
    )
    pseudonym_key: Key | None = Field(
        default=None,
        description="Makes pseudonyms, unless the search key does; stays when that is exchanged, since documents hold them.",
    )
    key_encryption: Literal["auto", "local", "aws", "vault"] = Field(
        default="auto",
        description="Who wraps data keys from now on, where several could; the others still unwrap. "
        "`auto` means AWS KMS or Vault where one is configured.",
    )
    data_key_seconds: float = Field(
        default=300.0, ge=1, le=3600, description="How long a process remembers a data key before it unwraps it again."
    )
    aws_kms_key: str | None = Field(
        default=None, description="Id, ARN or alias of an AWS KMS key that wraps those data keys instead."
    )
    aws_kms_url: str | None = Field(default=None, description="Endpoint of KMS; unset means AWS.")
    vault_transit_key: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="Key of HashiCorp Vault's transit engine that wraps those data keys instead, made with `derived=true`.",
    )
    vault_transit_mount: str = Field(
        default="transit", pattern=r"^[\w./-]+$", description="Where the transit engine is mounted."
    )
    vault_url: str | None = Field(
        default=None,
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])(:|/|$))",
        description="Address of Vault; without TLS only on this machine, for a Vault Agent.",
    )
    vault_token_file: Path | None = Field(
        default=None, description="File with Vault's token, read at each use, so that an agent may renew it."
    )

    @model_validator(mode="after")
    def _one_key_encryption(self) -> Self:
        if self.aws_kms_key and self.vault_transit_key and self.key_encryption == "auto":
            message = (
                "AFFIDAVIT_AWS_KMS_KEY and AFFIDAVIT_VAULT_TRANSIT_KEY need AFFIDAVIT_KEY_ENCRYPTION to say which wraps"
            )
            raise ValueError(message)
        if {"aws": self.aws_kms_key, "vault": self.vault_transit_key}.get(self.key_encryption, "set") is None:
            message = f"AFFIDAVIT_KEY_ENCRYPTION is {self.key_encryption}, which is not configured"
            raise ValueError(message)
        if self.vault_transit_key and not (self.vault_url and self.vault_token_file):
            message = "AFFIDAVIT_VAULT_TRANSIT_KEY needs AFFIDAVIT_VAULT_URL and AFFIDAVIT_VAULT_TOKEN_FILE"
            raise ValueError(message)
        return self

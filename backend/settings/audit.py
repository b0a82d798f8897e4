"""Settings: the log: checkpoints, retention, exports and archives."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class AuditSettings(BaseModel):
    """The log: checkpoints, retention, exports and archives."""

    checkpoint_key: SecretStr | None = Field(
        default=None,
        description="PEM of the Ed25519 private key that signs audit checkpoints; only the sealer needs it.",
    )
    checkpoint_next_key: SecretStr | None = Field(
        default=None,
        description="PEM of the key that is about to take the place of the checkpoint key; it signs as well.",
    )
    checkpoint_previous_key: SecretStr | None = Field(
        default=None,
        description="PEM of the key whose place the checkpoint key took; it signs as well, and signs that.",
    )
    checkpoint_public_key: str | None = Field(
        default=None,
        description="The verifier-key lines of the checkpoint key and of those before it, shown to reviewers.",
    )
    checkpoint_key_name: str = Field(
        default="affidavit",
        pattern=r"^[^\s+]+$",
        description="Name of the checkpoint key, usually the service's domain.",
    )
    sign_each_checkpoint: bool = Field(
        default=False,
        description="Sign the checkpoint of each tenant's log, as verifiers of version 0.1.0 read it, and not only that of all.",
    )
    checkpoint_folder: Path | None = Field(
        default=None, description="Folder outside the database to which checkpoints are appended."
    )
    checkpoint_bucket: str | None = Field(
        default=None, description="S3-compatible bucket with object lock to which checkpoints are written."
    )
    checkpoint_bucket_url: str | None = Field(default=None, description="Endpoint of the bucket; unset means AWS.")
    checkpoint_retention_days: int = Field(
        default=365, ge=1, le=3650, description="Days for which a checkpoint in the bucket cannot be deleted."
    )
    audit_retention_days: int = Field(
        default=2557, ge=366, le=36_500,
        description="Days for which events stay in the log before their month may leave for an archive; tenants can keep longer.",
    )  # fmt: skip
    export_part_leaves: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        description="Leaves of the log in one file of an export; more are split.",
    )
    archive_folder: Path | None = Field(
        default=None, description="Folder of archived months; unset means `archives` in the home folder."
    )
    archive_bucket: str | None = Field(default=None, description="S3-compatible bucket of archived months, instead.")
    archive_bucket_url: str | None = Field(default=None, description="Endpoint of that bucket; unset means AWS.")

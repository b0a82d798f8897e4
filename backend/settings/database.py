"""Settings: where the database is, and who connects to it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from backend.database_url import connection_url


def _connectable(url: SecretStr) -> SecretStr:
    return SecretStr(connection_url(url.get_secret_value()))


DatabaseUrl = Annotated[SecretStr, AfterValidator(_connectable)]


class DatabaseSettings(BaseModel):
    """Where the database is, and who connects to it."""

    database_url: DatabaseUrl | None = Field(
        default=None,
        description="Owner's connection URL, for `affidavit migrate` only; unset means the embedded database.",
    )
    runtime_database_url: DatabaseUrl | None = Field(
        default=None, description="The runtime role's connection URL; serves every request."
    )
    sealer_database_url: DatabaseUrl | None = Field(
        default=None, description="The sealer role's connection URL; seals audit events."
    )
    operator_database_url: DatabaseUrl | None = Field(
        default=None, description="The operator role's connection URL; unset means that there is no operator API."
    )
    database_other_passwords: list[SecretStr] = Field(
        default_factory=list,
        description="Passwords to try where the database refuses that of an address, while they are exchanged.",
    )
    database_pooler: Literal["none", "pgbouncer"] = Field(
        default="none",
        description="Whether PgBouncer stands before the database, in either mode; `affidavit migrate` connects past it.",
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="Connections per process.")
    database_timeout: float = Field(
        default=2.0,
        gt=0,
        le=30,
        description="Seconds to wait for a connection, and for its first answer, before a 503.",
    )
    accept_conditions_before_policies: bool = Field(
        default=False,
        description="Serve from a managed server whose functions nobody can make costly; the README says what then remains.",
    )

    @property
    def other_passwords(self) -> tuple[str, ...]:
        """What to try where the database refuses the password of an address."""
        return tuple(password.get_secret_value() for password in self.database_other_passwords)

    @property
    def behind_pooler(self) -> bool:
        """Whether a pooler lends the database's connections."""
        return self.database_pooler != "none"

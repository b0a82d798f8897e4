"""The tables of identity, as the migrations make them; a test holds both against each other."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, JSONB
from sqlmodel import Field, SQLModel


class ApiKeyRow(SQLModel, table=True):
    """API keys: what each may do, from where and how often. Their secrets are apart."""

    __tablename__ = "api_key"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    permissions: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    allowed_networks: list[str] = Field(sa_column=Column(ARRAY(CIDR), nullable=False))
    requests_per_minute: int | None
    requests_per_day: int | None
    assertion_key: str | None = Field(sa_column=Column(Text))
    created_by: UUID | None
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    revoked_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    last_used_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    owner_id: UUID | None
    purpose: str | None = Field(sa_column=Column(Text))
    tokens_per_day: int | None = Field(sa_column=Column(BigInteger))
    tokens_per_month: int | None = Field(sa_column=Column(BigInteger))
    cost_per_month_micros: int | None = Field(sa_column=Column(BigInteger))
    suspended_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    handed_over_by: UUID | None
    handed_over_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class ApiKeySecretRow(SQLModel, table=True):
    """Secrets of API keys, as digests."""

    __tablename__ = "api_key_secret"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    key_id: UUID
    lookup_id: str = Field(sa_column=Column(Text, nullable=False))
    digest: bytes
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    made_by: UUID | None


class CollectionGrantRow(SQLModel, table=True):
    """Who may read or write a collection: a principal, or everyone of a role."""

    __tablename__ = "collection_grant"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    principal_id: UUID | None
    role: str | None = Field(sa_column=Column(Text))
    access: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    granted_by: UUID | None
    beyond_owner: bool


class EndedGrantRow(SQLModel, table=True):
    """Grants that were withdrawn."""

    __tablename__ = "ended_grant"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    principal_id: UUID | None
    role: str | None = Field(sa_column=Column(Text))
    access: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class EndedRoleRow(SQLModel, table=True):
    """Roles that were taken away."""

    __tablename__ = "ended_role"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    user_id: UUID
    role: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ExternalIdentityRow(SQLModel, table=True):
    """Which user a subject of a tenant's provider is."""

    __tablename__ = "external_identity"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    issuer_id: UUID = Field(primary_key=True)
    subject: str = Field(sa_column=Column(Text, primary_key=True))
    user_id: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    last_issued_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class IssuerRow(SQLModel, table=True):
    """The OpenID providers that tenants trust."""

    __tablename__ = "issuer"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    issuer: str = Field(sa_column=Column(Text, nullable=False))
    client_id: str = Field(sa_column=Column(Text, nullable=False))
    client_secret: str | None = Field(sa_column=Column(Text))
    scopes: str = Field(sa_column=Column(Text, nullable=False))
    groups_claim: str = Field(sa_column=Column(Text, nullable=False))
    role_of_group: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    creates_users: bool
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class JointActRow(SQLModel, table=True):
    """Every act that needs two people, with a sentence."""

    __tablename__ = "joint_act"
    __table_args__ = {"schema": "identity"}

    act: str = Field(sa_column=Column(Text, primary_key=True))
    sentence: str = Field(sa_column=Column(Text, nullable=False))


class JointRequestRow(SQLModel, table=True):
    """What somebody asked for that needs a second person, and who that was."""

    __tablename__ = "joint_request"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    act: str = Field(sa_column=Column(Text, nullable=False))
    target: UUID
    change: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    asked_by: UUID
    asked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    joined_by: UUID | None
    joined_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    joined_in: str | None = Field(sa_column=Column(Text))
    withdrawn_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class OperatorKeyRow(SQLModel, table=True):
    """Keys of the operator's own systems, as digests."""

    __tablename__ = "operator_key"
    __table_args__ = {"schema": "identity"}

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    digest: bytes
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    revoked_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class PasswordRow(SQLModel, table=True):
    """Password hashes."""

    __tablename__ = "password"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    hash: str = Field(sa_column=Column(Text, nullable=False))
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class PasswordResetRow(SQLModel, table=True):
    """One-time links with which a user chooses a password, as digests."""

    __tablename__ = "password_reset"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    user_id: UUID
    digest: bytes
    made_by: UUID | None
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class RecoveryCodeRow(SQLModel, table=True):
    """Codes that stand in for a second factor once, as digests."""

    __tablename__ = "recovery_code"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    digest: bytes = Field(primary_key=True)
    used_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class RefreshTokenRow(SQLModel, table=True):
    """Refresh tokens as digests; each is used once."""

    __tablename__ = "refresh_token"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    session_id: UUID
    digest: bytes
    issued_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class BrowserSessionRow(SQLModel, table=True):
    """Sessions of browsers, by the digests of their cookies."""

    __tablename__ = "browser_session"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    digest: bytes = Field(primary_key=True)
    session_id: UUID
    opened_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    seen_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class RequestCountRow(SQLModel, table=True):
    """How often something was asked, for limits."""

    __tablename__ = "request_count"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    subject: str = Field(sa_column=Column(Text, primary_key=True))
    seconds: int = Field(primary_key=True)
    started_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    requests: int
    slots: list[int] = Field(sa_column=Column(ARRAY(Integer), nullable=False))
    slot: int = Field(sa_column=Column(BigInteger, nullable=False))


class SecondFactorRow(SQLModel, table=True):
    """Second factors of users, sealed."""

    __tablename__ = "second_factor"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    sealed_secret: str = Field(sa_column=Column(Text, nullable=False))
    confirmed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    last_step: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class SessionRow(SQLModel, table=True):
    """Sign-ins: one session for each, to which its refresh tokens belong."""

    __tablename__ = "session"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    user_id: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    revoked_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    revoked_reason: str | None = Field(sa_column=Column(Text))
    method: str = Field(sa_column=Column(Text, nullable=False))
    second_factor: bool
    source_address: str | None = Field(sa_column=Column(Text))


class SignInRuleRow(SQLModel, table=True):
    """What a tenant asks of everybody who signs in with a password."""

    __tablename__ = "sign_in_rule"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    second_factor_required: bool
    changed_by: UUID
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class SpentTokenRow(SQLModel, table=True):
    """What works once and was used, as digests."""

    __tablename__ = "spent_token"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    digest: bytes = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class UsageRow(SQLModel, table=True):
    """What was asked of models, by whom, where and on which day."""

    __tablename__ = "usage"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)
    principal_id: UUID = Field(primary_key=True)
    collection: str = Field(sa_column=Column(Text, primary_key=True))
    model: str = Field(sa_column=Column(Text, primary_key=True))
    user_id: UUID | None
    requests: int = Field(sa_column=Column(BigInteger, nullable=False))
    prompt_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    completion_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    cost_micros: int = Field(sa_column=Column(BigInteger, nullable=False))


class UserRow(SQLModel, table=True):
    """The people of a tenant."""

    __tablename__ = "user"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    username: str = Field(sa_column=Column(Text, nullable=False))
    display_name: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    credentials_of: UUID | None


class UserRoleRow(SQLModel, table=True):
    """Which roles a user has."""

    __tablename__ = "user_role"
    __table_args__ = {"schema": "identity"}

    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    role: str = Field(sa_column=Column(Text, primary_key=True))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ContextKeyRow(SQLModel, table=True):
    """The keys that sign contexts. Whoever reads them can be anyone: only the owner can, through tenancy.context()."""

    __tablename__ = "context_key"
    __table_args__ = {"schema": "tenancy"}

    id: str = Field(sa_column=Column(Text, primary_key=True))
    inner_pad: bytes
    outer_pad: bytes
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    retired_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class TenantRow(SQLModel, table=True):
    """The tenants of this deployment. Created and changed only by the operator, as the owner."""

    __tablename__ = "tenant"
    __table_args__ = {"schema": "tenancy"}

    id: UUID = Field(primary_key=True)
    slug: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    requests_per_minute: int | None
    principal_requests_per_minute: int | None
    delete_after: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))

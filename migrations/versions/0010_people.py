"""Whose a key is, who knows whose password, what two people must ask for, sessions, second factors, and usage."""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = (
    # Names are stored folded: the service folds case over all of Unicode, and the database refuses what it did not fold.
    'alter table identity."user" drop constraint user_username_check',
    'alter table identity."user" drop constraint user_status_check',
    r"""
    alter table identity."user"
      add constraint user_name_is_folded check (username ~ '^[^[:space:][:cntrl:]A-Z:/]{1,128}$'),
      add constraint user_status check (status in ('active', 'disabled', 'deleted')),
      -- The user who chose this user's password and so may know it; null once the user has chosen its own.
      add column credentials_of uuid,
      add foreign key (tenant_id, credentials_of) references identity."user" (tenant_id, id)
    """,
    """
    alter table identity.api_key
      -- The person whose rights bound the key, and as whom it counts.
      add column owner_id uuid,
      add column purpose text check (length(purpose) between 3 and 500),
      add column tokens_per_day bigint check (tokens_per_day > 0),
      add column tokens_per_month bigint check (tokens_per_month > 0),
      add column cost_per_month_micros bigint check (cost_per_month_micros > 0),
      -- Set when its owner is disabled; handing the key over clears it.
      add column suspended_at timestamptz,
      add column handed_over_by uuid,
      add column handed_over_at timestamptz,
      add foreign key (tenant_id, owner_id) references identity."user" (tenant_id, id)
    """,
    # Behind a key that a key made stands a person; a key that the operator made goes to the tenant's first administrator.
    """
    with recursive made (tenant_id, id, by, depth) as (
      select tenant_id, id, created_by, 0 from identity.api_key
      union all
      select m.tenant_id, m.id, k.created_by, m.depth + 1
      from made m join identity.api_key k on k.tenant_id = m.tenant_id and k.id = m.by where m.depth < 32
    )
    update identity.api_key k set owner_id = coalesce(
      (select m.by from made m join identity."user" u on u.tenant_id = m.tenant_id and u.id = m.by
        where m.tenant_id = k.tenant_id and m.id = k.id order by m.depth desc limit 1),
      (select r.user_id from identity.user_role r join identity."user" u on u.tenant_id = r.tenant_id and u.id = r.user_id
        where r.tenant_id = k.tenant_id and r.role = 'admin' and u.status = 'active' order by r.user_id limit 1))
    """,
    # Who knows a secret: whoever made it.
    "alter table identity.api_key_secret add column made_by uuid",
    """
    update identity.api_key_secret s set made_by = k.owner_id
    from identity.api_key k where k.tenant_id = s.tenant_id and k.id = s.key_id
    """,
    # Whether a key has a collection although its owner has not, since another person granted it.
    """
    alter table identity.collection_grant add column granted_by uuid,
      add column beyond_owner boolean not null default false check (not beyond_owner or principal_id is not null)
    """,
    """
    alter table identity.session
      add column method text not null default 'password' check (method in ('password', 'oidc', 'reset')),
      add column second_factor boolean not null default false,
      add column source_address text
    """,
    # One-time links with which a user chooses a password: nobody else ever knows it.
    """
    create table identity.password_reset (
      tenant_id uuid not null,
      id uuid not null,
      user_id uuid not null,
      digest bytea not null check (octet_length(digest) = 32),
      made_by uuid,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null check (expires_at <= created_at + interval '7 days'),
      used_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    "create index password_reset_digest on identity.password_reset (digest)",
    # One-time codes by time (RFC 6238). A code works once: no step is taken that is not after the last one.
    """
    create table identity.second_factor (
      tenant_id uuid not null,
      user_id uuid not null,
      sealed_secret text not null,
      confirmed_at timestamptz,
      last_step bigint not null default 0,
      created_at timestamptz not null default now(),
      primary key (tenant_id, user_id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.recovery_code (
      tenant_id uuid not null,
      user_id uuid not null,
      digest bytea not null check (octet_length(digest) = 32),
      used_at timestamptz,
      primary key (tenant_id, user_id, digest),
      foreign key (tenant_id, user_id) references identity.second_factor (tenant_id, user_id) on delete cascade
    )
    """,
    # What a tenant asks of everybody who signs in with a password.
    """
    create table identity.sign_in_rule (
      tenant_id uuid primary key references tenancy.tenant (id),
      second_factor_required boolean not null,
      changed_by uuid not null,
      changed_at timestamptz not null default now()
    )
    """,
    # ID tokens and attempts to sign in at a provider that have been used, until they would have expired.
    """
    create table identity.spent_token (
      tenant_id uuid not null,
      digest bytea not null check (octet_length(digest) = 32),
      expires_at timestamptz not null,
      primary key (tenant_id, digest)
    )
    """,
    "alter table identity.external_identity add column last_issued_at timestamptz not null default '-infinity'",
    # Every act that needs two people. What stands here is what `identity.is_second_person` knows.
    """
    create table identity.joint_act (
      act text primary key check (act ~ '^[a-z_]+:[a-z_]+$'),
      sentence text not null
    )
    """,
    """
    insert into identity.joint_act (act, sentence) values
      ('version:approve', 'A version is approved by another person than its author, and each approval is another person''s.'),
      ('version:reject', 'A version is rejected by another person than its author.'),
      ('version:retire', 'What is in force in a collection that asks for approval is retired when two people ask for it.'),
      ('erasure:approve', 'An erasure is approved by another person than the one who asked for it.'),
      ('hold:release', 'A legal hold is released when two people ask for it.'),
      ('collection:relax', 'A collection stops asking for approval, or asks for fewer, when two people ask for it.'),
      ('key:extend', 'A key reads what its owner may not when another person than who controls it grants it.'),
      ('key:hand_over', 'A key gets another owner from another person than its owner.'),
      ('second_factor:remove', 'The second factor of somebody else is taken away when two people ask for it.'),
      ('second_factor:waive', 'A tenant stops asking for a second factor when two people ask for it.')
    """,
    # Who asked for what of it, and who else did. A request lapses after a week.
    """
    create table identity.joint_request (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      act text not null references identity.joint_act (act),
      target uuid not null,
      change jsonb not null default '{}',
      asked_by uuid not null,
      asked_at timestamptz not null default now(),
      joined_by uuid check (joined_by <> asked_by),
      joined_at timestamptz,
      joined_in text,
      withdrawn_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, asked_by) references identity."user" (tenant_id, id),
      foreign key (tenant_id, joined_by) references identity."user" (tenant_id, id)
    )
    """,
    "create index joint_request_target on identity.joint_request (tenant_id, act, target)",
    # What was asked of models, by whom, where and on which day (UTC): what budgets are held against.
    """
    create table identity.usage (
      tenant_id uuid not null references tenancy.tenant (id),
      day date not null,
      principal_id uuid not null,
      collection text not null default '',
      model text not null,
      user_id uuid,
      requests bigint not null default 0 check (requests >= 0),
      prompt_tokens bigint not null default 0 check (prompt_tokens >= 0),
      completion_tokens bigint not null default 0 check (completion_tokens >= 0),
      cost_micros bigint not null default 0 check (cost_micros >= 0),
      primary key (tenant_id, principal_id, day, collection, model)
    )
    """,
    # Requests of a running window in sixtieths of it: see identity.count_request().
    """
    alter table identity.request_count
      add column slots integer[] not null default '{}', add column slot bigint not null default 0
    """,
    # Their replacements say more; policies/ makes them.
    "drop function identity.user_caller(text, uuid)",
    "drop function identity.presented_key(text)",
    "drop function identity.count_request(text, integer)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

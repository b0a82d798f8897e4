"""Evaluation: sets of questions, runs and what came of them, changes that wait for a run, and what a tenant asks of changes."""

from alembic import op

revision = "0021"
down_revision = "0020"

STATEMENTS = (
    "create schema evaluation",
    # Versions are only added, and the newest that is approved counts.
    """
    create table evaluation.question_set (
      tenant_id uuid not null references tenancy.tenant (id),
      slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
      version integer not null check (version > 0),
      questions jsonb not null check (jsonb_typeof(questions) = 'array'),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, slug, version)
    )
    """,
    """
    create table evaluation.set_approval (
      tenant_id uuid not null,
      slug text not null,
      version integer not null,
      approved_by uuid not null,
      approved_at timestamptz not null default now(),
      primary key (tenant_id, slug, version),
      foreign key (tenant_id, slug, version) references evaluation.question_set (tenant_id, slug, version)
    )
    """,
    # What somebody wants to let answer from now on. It takes effect with the approval of a run that was made under it.
    """
    create table evaluation.change (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      models text[] check (cardinality(models) between 1 and 16),
      support_levels text[] check (support_levels <@ array['verbatim', 'close', 'judged'] and 'verbatim' = any (support_levels)),
      proposed_by uuid not null,
      proposed_at timestamptz not null default now(),
      withdrawn_at timestamptz,
      primary key (tenant_id, id)
    )
    """,
    # A run is called as its job, which is forgotten some day.
    """
    create table evaluation.run (
      tenant_id uuid not null,
      id uuid not null,
      set_slug text not null,
      set_version integer not null,
      change_id uuid,
      started_by uuid not null,
      started_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, set_slug, set_version) references evaluation.question_set (tenant_id, slug, version),
      foreign key (tenant_id, change_id) references evaluation.change (tenant_id, id)
    )
    """,
    "create index run_of_change on evaluation.run (tenant_id, change_id) where change_id is not null",
    # Under what it ran and what became of each question, or why nothing did.
    """
    create table evaluation.result (
      tenant_id uuid not null,
      run_id uuid not null,
      pins jsonb check (jsonb_typeof(pins) = 'object'),
      results jsonb check (jsonb_typeof(results) = 'array'),
      failure text check (length(failure) between 1 and 200),
      finished_at timestamptz not null default now(),
      primary key (tenant_id, run_id),
      foreign key (tenant_id, run_id) references evaluation.run (tenant_id, id),
      constraint result_or_failure check ((failure is null) = (pins is not null and results is not null))
    )
    """,
    # `approved_in` lets the change of the run take effect in the transaction that approves it, and in no other.
    """
    create table evaluation.run_approval (
      tenant_id uuid not null,
      run_id uuid not null,
      approved_by uuid not null,
      approved_at timestamptz not null default now(),
      approved_in text not null default pg_current_xact_id()::text,
      primary key (tenant_id, run_id),
      foreign key (tenant_id, run_id) references evaluation.run (tenant_id, id)
    )
    """,
    "create index run_approval_newest on evaluation.run_approval (tenant_id, approved_at)",
    # Questions whose answers were reported as wrong: the text as the record has it, under the key of who asked.
    """
    create table evaluation.candidate (
      tenant_id uuid not null references tenancy.tenant (id),
      turn uuid not null,
      answer_event uuid not null,
      key_id uuid not null,
      ciphertext bytea not null,
      reported_by uuid not null,
      reported_at timestamptz not null default now(),
      primary key (tenant_id, turn)
    )
    """,
    # What a tenant asks of changes; without a row, nothing.
    """
    create table evaluation.rule (
      tenant_id uuid primary key references tenancy.tenant (id),
      changes_need_approval boolean not null,
      unapproved text not null check (unapproved in ('tell', 'refuse')),
      changed_by uuid not null,
      changed_at timestamptz not null default now()
    )
    """,
    # The owner has no policy that lets it add acts, since nothing but a revision does.
    "alter table identity.joint_act no force row level security",
    """
    insert into identity.joint_act (act, sentence) values
      ('evaluation_set:approve', 'A version of an evaluation set is approved by another person than its author.'),
      ('evaluation_run:approve',
        'A run is approved by another person than who started it, and than who proposed the change that it tries.'),
      ('evaluation:relax', 'A tenant asks less of changes when two people ask for it.')
    """,
    "alter table identity.joint_act force row level security",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

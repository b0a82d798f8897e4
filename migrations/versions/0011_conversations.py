"""Conversations: which turns follow each other, and whose they are. What was said stands in the log alone."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    "create schema answers",
    """
    create table answers.conversation (
      tenant_id uuid not null,
      id uuid not null,
      principal_id uuid not null,
      subject_id uuid not null,
      began_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )
    """,
    "create index conversation_by_principal on answers.conversation (tenant_id, principal_id, subject_id, began_at desc, id)",
    # `id` is the event of the prompt, as `turn` is in every event of it; `answer_event` is the one whose texts are the turn.
    """
    create table answers.turn (
      tenant_id uuid not null,
      id uuid not null,
      conversation_id uuid not null,
      answer_event uuid not null,
      refused boolean not null,
      answered_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, conversation_id) references answers.conversation (tenant_id, id)
    )
    """,
    "create index turn_by_conversation on answers.turn (tenant_id, conversation_id, id)",
    "create index turn_by_answer on answers.turn (tenant_id, answer_event)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

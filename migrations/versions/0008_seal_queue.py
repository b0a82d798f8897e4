"""A queue of the events that no log holds yet, in place of a transaction-id watermark, which no other server understands."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    # Written with the event and deleted in the transaction that appends its leaf. `received` marks what logical replication
    # brought, and what the server that it came from is therefore about to seal.
    """
    create table audit.unsealed (
      tenant_id uuid not null,
      event_id uuid not null,
      received boolean not null default false,
      primary key (tenant_id, event_id)
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    "create index unsealed_by_age on audit.unsealed (event_id)",
    # By a trigger, so that nobody who may write an event can keep it from being sealed.
    """
    create function audit.await_sealing() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
      insert into audit.unsealed (tenant_id, event_id) values (new.tenant_id, new.id);
      return null;
    end
    $$
    """,
    "create trigger await_sealing after insert on audit.event for each row execute function audit.await_sealing()",
    """
    create function audit.mark_received() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin new.received := true; return new; end $$
    """,
    "create trigger mark_received before insert on audit.unsealed for each row execute function audit.mark_received()",
    "alter table audit.unsealed enable replica trigger mark_received",
    "drop index audit.event_by_transaction",
    "alter table audit.sealer drop column last_xid, drop column last_event",
    # Why sealing has stopped until somebody decides; null while it goes on.
    "alter table audit.sealer add column halted text",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

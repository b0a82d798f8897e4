-- The control database's own schema: the directory, which only grows. Whoever may read it may; only its owner writes.
create schema if not exists cells;

create table if not exists cells.entry (
  index bigint primary key check (index >= 0),
  entry text not null,
  note text not null,
  written_at timestamptz not null default now()
);

-- The log of the cells' logs: of each cell's log of all checkpoints, what it was when the operator asked.
create table if not exists cells.checkpoint (
  index bigint primary key check (index >= 0),
  cell text not null,
  entry text not null,
  note text not null,
  written_at timestamptz not null default now()
);

create or replace function cells.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin raise exception 'the directory is append-only' using errcode = 'insufficient_privilege'; end $$;

create or replace trigger no_change before update or delete on cells.entry for each row execute function cells.refuse_change();
create or replace trigger no_truncate before truncate on cells.entry execute function cells.refuse_change();
alter table cells.entry enable always trigger no_change, enable always trigger no_truncate;
create or replace trigger no_change before update or delete on cells.checkpoint for each row execute function cells.refuse_change();
create or replace trigger no_truncate before truncate on cells.checkpoint execute function cells.refuse_change();
alter table cells.checkpoint enable always trigger no_change, enable always trigger no_truncate;

revoke all on schema cells from public;
revoke all on all tables in schema cells from public;
do $$
begin
  if exists (select from pg_roles where rolname = 'affidavit_runtime') then
    grant usage on schema cells to affidavit_runtime;
    grant select on cells.entry to affidavit_runtime;
  end if;
end
$$;

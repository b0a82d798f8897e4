-- What holds for every table whatever its own file says; run after that file, for the table named by the setting policies.table.
do $$
declare
  relation regclass := current_setting('policies.table');
  item record;
begin
  -- One wall around every table, whatever its own policies allow. With theirs it names the tenant twice, so PostgreSQL
  -- compares both before it reads a row; otherwise EXPLAIN ANALYZE shows "never executed" where no row of any tenant meets
  -- a condition of the attacker's, which may be evaluated first when its operator is leakproof.
  if exists (select from pg_attribute where attrelid = relation and attname = 'tenant_id')
    and not (select relispartition from pg_class where oid = relation)
  then
    -- What every question adds to the log is checked by the one policy that lets it: to ask the context again for the wall
    -- took a tenth of the statement.
    if relation in ('audit.event'::regclass, 'audit.payload'::regclass, 'audit.unindexed'::regclass) then
      execute format('create policy wall on %s as restrictive for select to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
      execute format('create policy wall_delete on %s as restrictive for delete to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    else
      execute format('create policy wall on %s as restrictive to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    end if;

    -- A tenant whose time of grace is over is deleted by the owner, who can read and delete then what it else cannot. The
    -- record stays, as it was sealed; the texts that it commits to go, once their retention is over.
    if relation::text <> all ('{audit.event_document,audit.unsealed,audit.log,audit.leaf,audit.node,audit.checkpoint,audit.declaration,audit.archive}') then
      execute format('create policy purged_select on %s for select to affidavit_owner
        using (tenant_id in (select tenancy.purgeable_tenants()))', relation);
      if relation <> 'audit.event'::regclass then
        execute format('create policy purged on %s for delete to affidavit_owner
          using (tenant_id in (select tenancy.purgeable_tenants()))', relation);
      end if;
    end if;
  end if;

  -- The planner's statistics span tenants, and EXPLAIN would tell by its estimates what common values and bounds they hold.
  -- Partitions of one tenant (those by list, but for the shared one) keep theirs.
  for item in
    select a.attname as name
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.oid = relation
      and (coalesce(pg_get_expr(c.relpartbound, c.oid), '') not like 'FOR VALUES IN%'
        or pg_get_expr(c.relpartbound, c.oid) like '%00000000-0000-0000-0000-000000000000%')
      and a.attnum > 0 and not a.attisdropped and a.attstattarget is distinct from 0
  loop
    execute format('alter table %s alter column %I set statistics 0', relation, item.name);
  end loop;

  -- A partition belongs to nobody but its table, and whoever got there all the same would see nothing.
  if (select relispartition and not (relrowsecurity and relforcerowsecurity) from pg_class where oid = relation) then
    execute format('alter table %s enable row level security, force row level security', relation);
  end if;

  -- The log refuses changes to every role, also to those that skip ordinary triggers.
  if relation in ('audit.event'::regclass, 'audit.leaf'::regclass, 'audit.node'::regclass, 'audit.checkpoint'::regclass)
    or exists (select from pg_inherits where inhrelid = relation and inhparent = 'audit.event'::regclass)
  then
    if not exists (select from pg_trigger where tgrelid = relation and tgname = 'no_change') then
      execute format('create trigger no_change before update or delete on %s for each row execute function audit.refuse_change()', relation);
    end if;
    if not exists (select from pg_trigger where tgrelid = relation and tgname = 'no_truncate') then
      execute format('create trigger no_truncate before truncate on %s execute function audit.refuse_change()', relation);
    end if;
    execute format('alter table only %s enable always trigger no_change, enable always trigger no_truncate', relation);
  end if;
end
$$;

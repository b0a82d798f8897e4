-- Partitions of large tenants.

-- Made apart and then attached: that does not wait for, nor hold up, anybody who reads or writes chunks.
create or replace function retrieval.create_private_partition(tenant uuid) returns void
language plpgsql set search_path = pg_catalog, public, pg_temp
as $$
declare
  name text := 'chunk_' || translate(tenant::text, '-', '');
begin
  if to_regclass('documents.' || name) is not null then
    return;
  end if;
  execute format('create table documents.%I (like documents.chunk including defaults including constraints
    including storage, primary key (tenant_id, id), unique (tenant_id, version_id, ordinal))
    with (toast_tuple_target = 2040)', name);
  execute format('alter table documents.%I enable row level security, force row level security', name);
  execute format('alter table documents.chunk attach partition documents.%I for values in (%L)', name, tenant);
end
$$;

-- Not granted to anyone: retrieval.create_private_partition.

-- The keys of payloads, wrapped by a key that the database never sees.
alter table audit.data_key enable row level security, force row level security;

-- Every request encrypts what it records with a key of its data subject; who may erase sees that there are others.
create policy own_select on audit.data_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (subject_id = (select tenancy.subject_id()) or (select tenancy.has_permission('erasure:execute'))));
create policy own_insert on audit.data_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and subject_id = (select tenancy.subject_id()));
-- A key is destroyed by an approved erasure of its subject; the foreign key of payloads keeps it while one is left.
create policy erased on audit.data_key for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and audit.may_erase(tenant_id, subject_id));
-- The owner's functions give the wrapped keys out.
create policy given_out on audit.data_key for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));
-- Keys of a month that left for an archive go with it; the foreign key keeps one that a text still needs.
create policy left_select on audit.data_key for select to affidavit_owner
  using (exists (select from audit.archive a where a.tenant_id = data_key.tenant_id and a.month = data_key.month and a.left_at is not null));
create policy left_delete on audit.data_key for delete to affidavit_owner
  using (exists (select from audit.archive a where a.tenant_id = data_key.tenant_id and a.month = data_key.month and a.left_at is not null));
-- The owner wraps keys anew, at a connection of its own: in functions that others call, the session is theirs.
create policy rewrapped_select on audit.data_key for select to affidavit_owner using (session_user = 'affidavit_owner');
create policy rewrapped on audit.data_key for update to affidavit_owner using (session_user = 'affidavit_owner');

grant insert (tenant_id, id, subject_id, month, wrapped), select (tenant_id, id, subject_id, month, created_at), delete
  on audit.data_key to affidavit_runtime;
-- Not granted: select of wrapped keys, which functions give out; update.

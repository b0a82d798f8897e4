-- What release 0.1.0 applied after its revisions 0001 to 0006: its policies and rights, as a fixture of the tests of upgrades.
-- Frozen: never to be changed.
create table migration.privilege (what text, how text, primary key (what, how));

do $$
declare
  item record;
  roles text := 'public, affidavit_runtime, affidavit_sealer, affidavit_operator';
begin
  for item in select schemaname, tablename, policyname from pg_policies where schemaname = any ('{migration,tenancy,identity,documents,retrieval,audit,storage,jobs}') loop
    execute format('drop policy %I on %I.%I', item.policyname, item.schemaname, item.tablename);
  end loop;
  for item in select nspname from pg_namespace where nspname = any ('{migration,tenancy,identity,documents,retrieval,audit,storage,jobs}') loop
    execute format('revoke all on schema %I from %s', item.nspname, roles);
    execute format('revoke all on all tables in schema %I from %s', item.nspname, roles);
    execute format('revoke all on all sequences in schema %I from %s', item.nspname, roles);
    execute format('revoke all on all routines in schema %I from %s', item.nspname, roles);
  end loop;
end
$$;

-- audit.archive
alter table audit.archive enable row level security, force row level security;
create policy reviewed on audit.archive for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy known on audit.archive for select to affidavit_owner using (true);
create policy written on audit.archive for insert to affidavit_owner with check (left_at is null);
create policy continued on audit.archive for update to affidavit_owner using (cleared_at is null) with check (true);
grant select on audit.archive to affidavit_runtime;
revoke delete, truncate, references, trigger on audit.archive from affidavit_owner;

-- audit.checkpoint
alter table audit.checkpoint enable row level security, force row level security;
create policy sealed on audit.checkpoint for insert to affidavit_sealer with check (true);
create policy continued on audit.checkpoint for select to affidavit_sealer using (true);
create policy reviewed on audit.checkpoint for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
grant select, insert (tenant_id, id, size, note) on audit.checkpoint to affidavit_sealer;
grant select on audit.checkpoint to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.checkpoint from affidavit_owner;

-- audit.data_key
alter table audit.data_key enable row level security, force row level security;
create policy own_select on audit.data_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (subject_id = (select tenancy.subject_id())
      or (select tenancy.has_permission('audit:reveal'))
      or (select tenancy.has_permission('erasure:execute'))));
create policy own_insert on audit.data_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and subject_id = (select tenancy.subject_id()));
create policy erased on audit.data_key for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and audit.may_erase(tenant_id, subject_id));
create policy left_select on audit.data_key for select to affidavit_owner
  using (exists (select from audit.archive a where a.tenant_id = data_key.tenant_id and a.month = data_key.month and a.left_at is not null));
create policy left_delete on audit.data_key for delete to affidavit_owner
  using (exists (select from audit.archive a where a.tenant_id = data_key.tenant_id and a.month = data_key.month and a.left_at is not null));
grant insert (tenant_id, id, subject_id, month, wrapped), select, delete on audit.data_key to affidavit_runtime;

-- audit.erasure
alter table audit.erasure enable row level security, force row level security;
create policy visible on audit.erasure for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy requested on audit.erasure for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and requested_by = (select tenancy.principal_id()));
create policy approved on audit.erasure for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and executed_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and approved_by = (select tenancy.principal_id()));
grant select, insert (tenant_id, id, subject_id, legal_basis, requested_by), update (approved_by, executed_at)
  on audit.erasure to affidavit_runtime;

-- audit.event
grant usage on schema audit to affidavit_runtime, affidavit_sealer;
alter table audit.event enable row level security, force row level security;
create policy own_name on audit.event for insert to affidavit_runtime
  with check ((tenant_id, coalesce(principal_id::text, ''), request_id) = (select (c ->> 'tenant')::uuid,
    coalesce(c ->> 'principal', ''), c ->> 'request' from tenancy.context() c));
create policy reviewed on audit.event for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy sealed on audit.event for select to affidavit_sealer using (true);
create policy operator on audit.event for insert to affidavit_owner with check (principal_id is null);
create policy archived on audit.event for select to affidavit_owner
  using (id < (select audit.first_id_at(now() - interval '1 year')));
create policy indexed on audit.event for select to affidavit_owner
  using (exists (select from audit.unindexed u where u.tenant_id = event.tenant_id and u.event_id = event.id));
create policy operated on audit.event for insert to affidavit_operator
  with check (principal_id is null and envelope::jsonb #>> '{principal,kind}' = 'operator');
grant usage on schema audit to affidavit_operator;
grant insert (id, envelope) on audit.event to affidavit_operator;
grant execute on function audit.event_time(jsonb) to affidavit_runtime, affidavit_owner, affidavit_operator;
grant execute on function audit.earliest_id() to affidavit_runtime;
grant execute on function audit.create_coming_partitions() to affidavit_sealer;
grant execute on function audit.may_erase(uuid, uuid), audit.retained_until(uuid, uuid) to affidavit_runtime;
grant insert (id, envelope) on audit.event to affidavit_runtime;
grant select (tenant_id, id, envelope, occurred_at, action, outcome, principal_id, request_id, turn, model, end_user, conversation)
  on audit.event to affidavit_runtime;
grant select on audit.event to affidavit_sealer;
revoke update, delete, truncate, references, trigger on audit.event from affidavit_owner;

-- audit.event_document
alter table audit.event_document enable row level security, force row level security;
create policy reviewed on audit.event_document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy left_select on audit.event_document for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.event_document for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy indexed on audit.event_document for insert to affidavit_owner with check (true);
grant select on audit.event_document to affidavit_runtime;

-- audit.export
alter table audit.export enable row level security, force row level security;
create policy visible on audit.export for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export')));
create policy requested on audit.export for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and requested_by = (select tenancy.principal_id()));
create policy finished on audit.export for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and requested_by = (select tenancy.principal_id()) and sha256 is null)
  with check (tenant_id = (select tenancy.tenant_id()) and requested_by = (select tenancy.principal_id()));
grant select, insert (tenant_id, id, requested_by, job_id, parameters), update (events, sha256, size, parts)
  on audit.export to affidavit_runtime;

-- audit.hold
alter table audit.hold enable row level security, force row level security;
create policy visible on audit.hold for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy placed on audit.hold for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and placed_by = (select tenancy.principal_id()));
create policy released on audit.hold for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export')) and released_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and released_by = (select tenancy.principal_id()));
create policy obeyed on audit.hold for select to affidavit_owner using (true);
grant select, insert (tenant_id, id, subject_id, reason, placed_by), update (released_by, released_at)
  on audit.hold to affidavit_runtime;

-- audit.leaf
alter table audit.leaf enable row level security, force row level security;
create policy sealed on audit.leaf for insert to affidavit_sealer with check (true);
create policy continued on audit.leaf for select to affidavit_sealer using (true);
create policy archived on audit.leaf for select to affidavit_owner
  using (event_id < (select audit.first_id_at(now() - interval '1 year')));
create policy reviewed on audit.leaf for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
grant select, insert (tenant_id, index, event_id, hash) on audit.leaf to affidavit_sealer;
grant select on audit.leaf to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.leaf from affidavit_owner;

-- audit.log
alter table audit.log enable row level security, force row level security;
create policy sealed on audit.log to affidavit_sealer using (true) with check (true);
grant select, insert, update (size, frontier) on audit.log to affidavit_sealer;

-- audit.node
alter table audit.node enable row level security, force row level security;
create policy sealed on audit.node for insert to affidavit_sealer with check (true);
create policy continued on audit.node for select to affidavit_sealer using (true);
create policy reviewed on audit.node for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
grant select, insert (tenant_id, level, position, hash) on audit.node to affidavit_sealer;
grant select on audit.node to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.node from affidavit_owner;

-- audit.payload
alter table audit.payload enable row level security, force row level security;
create policy own_tenant on audit.payload for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and event_id >= (select audit.earliest_id()));
create policy revealed on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));
create policy erasable on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
create policy erased on audit.payload for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and exists (select from audit.data_key k where k.tenant_id = payload.tenant_id and k.id = payload.key_id
      and audit.may_erase(k.tenant_id, k.subject_id))
    and audit.retained_until(tenant_id, event_id) <= now());
create policy indexed on audit.payload for select to affidavit_owner
  using (exists (select from audit.unindexed u where u.tenant_id = payload.tenant_id and u.event_id = payload.event_id));
create policy left_select on audit.payload for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.payload for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));
grant select, delete, insert (tenant_id, event_id, name, key_id, ciphertext, terms) on audit.payload to affidavit_runtime;

-- audit.payload_term
alter table audit.payload_term enable row level security, force row level security;
create policy searched on audit.payload_term for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));
create policy indexed on audit.payload_term for insert to affidavit_owner with check (true);
grant select on audit.payload_term to affidavit_runtime;

-- audit.retention
alter table audit.retention enable row level security, force row level security;
create policy visible on audit.retention for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
create policy raised on audit.retention for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and set_by = (select tenancy.principal_id()));
create policy obeyed on audit.retention for select to affidavit_owner using (true);
grant select, insert (tenant_id, id, event_class, days, set_by) on audit.retention to affidavit_runtime;

-- audit.saved_search
alter table audit.saved_search enable row level security, force row level security;
create policy own on audit.saved_search to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and saved_by = (select tenancy.principal_id())
    and (select tenancy.has_permission('audit:read')))
  with check (tenant_id = (select tenancy.tenant_id()) and saved_by = (select tenancy.principal_id())
    and (select tenancy.has_permission('audit:read')));
grant select, insert (tenant_id, id, name, filters, saved_by), delete on audit.saved_search to affidavit_runtime;

-- audit.sealer
alter table audit.sealer enable row level security, force row level security;
create policy elected on audit.sealer to affidavit_sealer using (true) with check (true);
create policy watched on audit.sealer for select to affidavit_runtime using (true);
grant select, update (epoch, holder, lease_until, last_xid, last_event, sealed_at) on audit.sealer to affidavit_sealer;
grant select (singleton, lease_until, sealed_at) on audit.sealer to affidavit_runtime;

-- audit.unindexed
alter table audit.unindexed enable row level security, force row level security;
create policy own_tenant on audit.unindexed for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()));
create policy indexed on audit.unindexed to affidavit_owner using (true) with check (false);
grant insert (tenant_id, event_id, doc_ids, action, outcome, principal_id) on audit.unindexed to affidavit_runtime;
grant execute on function audit.index_oldest_events(integer) to affidavit_sealer;
grant execute on function audit.index_own_events() to affidavit_runtime;
revoke truncate, references, trigger on audit.unindexed from affidavit_owner;

-- documents.approval
alter table documents.approval enable row level security, force row level security;
create policy readable on documents.approval for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
create policy decided on documents.approval for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and approver_id = (select tenancy.principal_id())
    and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and exists (select from documents.version v where v.tenant_id = approval.tenant_id and v.id = approval.version_id
      and v.collection_id = approval.collection_id and v.status = 'in_review' and v.created_by <> approval.approver_id));
create policy erased on documents.approval for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
grant select, delete on documents.approval to affidavit_runtime;
grant insert (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision, comment)
  on documents.approval to affidavit_runtime;

-- documents.chunk
alter table documents.chunk enable row level security, force row level security;
alter table documents.chunk_shared enable row level security, force row level security;
create policy visible on documents.chunk for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and collection_id = any ((select documents.visible_collections())::uuid[])
    and effective_from <= (select documents.latest_start()) and effective_to > (select documents.earliest_end())
    and (effective_from < effective_to or (select documents.sees_unapproved()))
    and ((select tenancy.known_at()) is null
      or created_at <= (select tenancy.known_at()) and version_id = any ((select documents.versions_known_in_force())::uuid[])));
create policy writable on documents.chunk for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and exists (select from documents.version v
      join documents.collection c on c.tenant_id = v.tenant_id and c.id = v.collection_id
      where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
        and v.collection_id = chunk.collection_id and v.document_id = chunk.document_id
        and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to
        and v.takes_chunks
        and (v.effective_from = 'infinity' and v.created_by = (select tenancy.principal_id()) or not c.approval_required))
    and not exists (select from documents.approval a where a.tenant_id = chunk.tenant_id and a.version_id = chunk.version_id));
create policy follows_version on documents.chunk for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:review')) and collection_id = any ((select tenancy.readable_collections())::uuid[])
      or (select tenancy.has_permission('documents:write')) and collection_id = any ((select tenancy.writable_collections())::uuid[])
        and collection_id in (select id from documents.collection where not approval_required)))
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
      and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to));
create policy erased on documents.chunk for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.has_permission('audit:read'))
    and not exists (select from audit.hold h where h.tenant_id = chunk.tenant_id and h.released_at is null and h.subject_id is null));
create policy operator on documents.chunk to affidavit_owner using (true) with check (true);
grant execute on function documents.visible_collections(), documents.erasable_collections(), documents.latest_start(),
  documents.earliest_end(), documents.sees_unapproved(), documents.sees_drafts(), documents.sees_every_state(jsonb)
  to affidavit_runtime;
grant select, insert, delete on documents.chunk to affidavit_runtime;
grant update (effective_from, effective_to) on documents.chunk to affidavit_runtime;

-- documents.collection
grant usage on schema documents to affidavit_runtime;
alter table documents.collection enable row level security, force row level security;
create policy visible on documents.collection for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = any ((select tenancy.readable_collections())::uuid[]) or (select tenancy.has_permission('collections:manage'))));
create policy managed_insert on documents.collection for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
create policy managed_update on documents.collection for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
create policy operator on documents.collection to affidavit_owner using (true) with check (true);
grant select on documents.collection to affidavit_runtime;
grant insert (tenant_id, id, slug, name, language, approval_required, approvers, metadata_schema) on documents.collection to affidavit_runtime;
grant update (name, approval_required, approvers, metadata_schema) on documents.collection to affidavit_runtime;

-- documents.document
alter table documents.document enable row level security, force row level security;
create policy readable on documents.document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
create policy writable on documents.document for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id()));
create policy erased on documents.document for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.has_permission('audit:read'))
    and not exists (select from audit.hold h where h.tenant_id = document.tenant_id and h.released_at is null and h.subject_id is null));
create policy leaving on documents.document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id::text = (select tenancy.presented('withdrawing')));
create policy withdrawn on documents.document for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id::text = (select tenancy.presented('withdrawing')));
create policy locked on documents.document for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and ((select tenancy.has_permission('documents:write'))
    or (select tenancy.has_permission('documents:review')) or (select tenancy.has_permission('erasure:execute'))
    or id::text = (select tenancy.presented('withdrawing'))))
  with check (tenant_id = (select tenancy.tenant_id()) and false);
create policy operator on documents.document for select to affidavit_owner using (true);
create policy operator_lock on documents.document for update to affidavit_owner using (true) with check (false);
grant select, delete on documents.document to affidavit_runtime;
grant insert (tenant_id, id, collection_id, doc_id, source_type, title, created_by) on documents.document to affidavit_runtime;
grant update (title) on documents.document to affidavit_runtime;  -- without which nobody may lock; no title passes the policy

-- documents.file
alter table documents.file enable row level security, force row level security;
create policy readable on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (created_by = (select tenancy.principal_id())
      or exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id)));
create policy writable on documents.file for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and exists (select from documents.document d where d.tenant_id = file.tenant_id and d.id = file.document_id
      and d.collection_id = file.collection_id));
create policy tied on documents.file for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and created_by = (select tenancy.principal_id()) and version_id is null)
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id
      and v.document_id = file.document_id and v.created_by = (select tenancy.principal_id())));
create policy withdrawn on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id()) and version_id is null);
create policy withdrawing on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
create policy withdrawn_with_job on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
create policy erasing on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.presented('erasing')) = 'documents');
create policy erased on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
grant select, delete on documents.file to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, job_id, filename, media_type, size, sha256, submitted, created_by)
  on documents.file to affidavit_runtime;
grant update (version_id, page_count) on documents.file to affidavit_runtime;

-- documents.version
alter table documents.version enable row level security, force row level security;
create policy readable on documents.version for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[])
    and (effective_from < 'infinity' or (select documents.sees_drafts())));
create policy writable on documents.version for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and author_id = coalesce((select k.created_by from identity.api_key k
      where k.tenant_id = (select tenancy.tenant_id()) and k.id = (select tenancy.principal_id())), created_by)
    and (effective_from = 'infinity' or approvals_needed = 0)
    and approvals_needed = (select case when c.approval_required then c.approvers else 0 end from documents.collection c
      where c.tenant_id = version.tenant_id and c.id = version.collection_id));
create policy authored on documents.version for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and (created_by = (select tenancy.principal_id()) or approvals_needed = 0))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and (status in ('draft', 'in_review')
      or approvals_needed = 0 and exists (select from documents.collection c
        where c.tenant_id = version.tenant_id and c.id = version.collection_id and not c.approval_required)));
create policy reviewed on documents.version for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (effective_from = 'infinity' or approvals_needed <= (select count(*) from documents.approval a
      where a.tenant_id = version.tenant_id and a.version_id = version.id and a.decision = 'approved')));
create policy erased on documents.version for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
create policy operator on documents.version for select to affidavit_owner using (true);
grant select, delete on documents.version to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, number, status, takes_chunks, approvals_needed, planned_from, planned_to,
  effective_from, effective_to, content_sha256, metadata, author_id, created_by) on documents.version to affidavit_runtime;
grant update (status, takes_chunks, planned_from, planned_to, effective_from, effective_to, content_sha256, reason)
  on documents.version to affidavit_runtime;

-- documents.version_history
alter table documents.version_history enable row level security, force row level security;
create policy readable on documents.version_history for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
create policy recorded on documents.version_history for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:write')) or (select tenancy.has_permission('documents:review')))
    and exists (select from documents.version v where v.tenant_id = version_history.tenant_id
      and v.id = version_history.version_id and v.document_id = version_history.document_id
      and v.collection_id = version_history.collection_id and v.status = version_history.status
      and v.effective_from = version_history.effective_from and v.effective_to = version_history.effective_to));
create policy erased on documents.version_history for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
grant execute on function documents.versions_known_in_force() to affidavit_runtime;
grant select, delete on documents.version_history to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, version_id, status, effective_from, effective_to)
  on documents.version_history to affidavit_runtime;

-- identity.api_key
alter table identity.api_key enable row level security, force row level security;
create policy visible on identity.api_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('keys:manage'))
      or (select tenancy.has_permission('audit:read'))));
create policy managed_insert on identity.api_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and created_by = (select tenancy.principal_id())
    and permissions <@ ((select tenancy.permissions()) || '{retrieval:query}'::text[]));
create policy managed_update on identity.api_key for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
create policy operator on identity.api_key to affidavit_owner using (true) with check (true);
grant select on identity.api_key to affidavit_runtime;
grant insert (tenant_id, id, name, permissions, allowed_networks, requests_per_minute, requests_per_day, assertion_key,
  created_by, expires_at) on identity.api_key to affidavit_runtime;
grant execute on function identity.note_key_use() to affidavit_runtime;
grant update (revoked_at) on identity.api_key to affidavit_runtime;

-- identity.api_key_secret
alter table identity.api_key_secret enable row level security, force row level security;
create policy managed on identity.api_key_secret for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')));
create policy created on identity.api_key_secret for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and key_id in (select id from identity.api_key where created_by = (select tenancy.principal_id())));
create policy ended on identity.api_key_secret for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and key_id in (select id from identity.api_key where created_by = (select tenancy.principal_id())))
  with check (tenant_id = (select tenancy.tenant_id()) and expires_at < 'infinity');
create policy operator on identity.api_key_secret to affidavit_owner using (true) with check (true);
grant select (tenant_id, id, key_id, lookup_id, created_at, expires_at) on identity.api_key_secret to affidavit_runtime;
grant insert (tenant_id, id, key_id, lookup_id, digest) on identity.api_key_secret to affidavit_runtime;
grant update (expires_at) on identity.api_key_secret to affidavit_runtime;
grant execute on function identity.presented_key(text) to affidavit_runtime;

-- identity.collection_grant
alter table identity.collection_grant enable row level security, force row level security;
create policy visible on identity.collection_grant for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id())
      or role in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))
      or role in (select r.role from identity.ended_role r where r.user_id = (select tenancy.principal_id()))
      or (select tenancy.has_permission('collections:manage'))));
create policy managed_insert on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and (principal_id is null or principal_id <> (select tenancy.principal_id())
      and principal_id not in (select k.created_by from identity.api_key k
        where k.id = (select tenancy.principal_id()) and k.created_by is not null))
    and (role is null or role not in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))));
create policy managed_delete on identity.collection_grant for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
create policy key_scope on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and access = 'read' and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and principal_id <> (select tenancy.principal_id())
    and principal_id in (select id from identity.api_key where created_by = (select tenancy.principal_id())));
create policy operator on identity.collection_grant to affidavit_owner using (true) with check (true);
grant select, delete on identity.collection_grant to affidavit_runtime;
grant insert (tenant_id, id, collection_id, principal_id, role, access) on identity.collection_grant to affidavit_runtime;

-- identity.ended_grant
alter table identity.ended_grant enable row level security, force row level security;
create policy visible on identity.ended_grant for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id())
      or role in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))
      or role in (select r.role from identity.ended_role r where r.user_id = (select tenancy.principal_id()))
      or (select tenancy.has_permission('collections:manage'))));
create policy managed on identity.ended_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
grant select on identity.ended_grant to affidavit_runtime;
grant insert (tenant_id, id, collection_id, principal_id, role, access, created_at) on identity.ended_grant to affidavit_runtime;

-- identity.ended_role
alter table identity.ended_role enable row level security, force row level security;
create policy visible on identity.ended_role for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (user_id = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))));
create policy managed on identity.ended_role for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
grant select on identity.ended_role to affidavit_runtime;
grant insert (tenant_id, id, user_id, role, created_at) on identity.ended_role to affidavit_runtime;

-- identity.external_identity
alter table identity.external_identity enable row level security, force row level security;
create policy own on identity.external_identity for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id()));
create policy own_insert on identity.external_identity for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.has_permission('users:manage')));
create policy operator on identity.external_identity to affidavit_owner using (true) with check (true);
grant select on identity.external_identity to affidavit_runtime;
grant insert (tenant_id, issuer_id, subject, user_id) on identity.external_identity to affidavit_runtime;

-- identity.issuer
alter table identity.issuer enable row level security, force row level security;
create policy operator on identity.issuer to affidavit_owner using (true) with check (true);
grant execute on function identity.presented_issuer() to affidavit_runtime;

-- identity.operator_key
grant usage on schema identity to affidavit_operator;
alter table identity.operator_key enable row level security, force row level security;
create policy presented on identity.operator_key for select to affidavit_operator using (true);
create policy owner on identity.operator_key to affidavit_owner using (true) with check (true);
grant select on identity.operator_key to affidavit_operator;

-- identity.password
alter table identity.password enable row level security, force row level security;
create policy signing_in on identity.password for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id::text = (select tenancy.presented('password_of')));
create policy managed on identity.password for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and not exists (select from identity.user_role r where r.tenant_id = password.tenant_id and r.user_id = password.user_id));
create policy operator on identity.password to affidavit_owner using (true) with check (true);
grant select, insert on identity.password to affidavit_runtime;

-- identity.refresh_token
alter table identity.refresh_token enable row level security, force row level security;
create policy own on identity.refresh_token for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())));
create policy own_insert on identity.refresh_token for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())));
create policy own_use on identity.refresh_token for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())))
  with check (tenant_id = (select tenancy.tenant_id()) and used_at is not null);
create policy owner on identity.refresh_token for select to affidavit_owner using (true);
grant select (tenant_id, id, session_id, issued_at, used_at) on identity.refresh_token to affidavit_runtime;
grant insert (tenant_id, id, session_id, digest) on identity.refresh_token to affidavit_runtime;
grant update (used_at) on identity.refresh_token to affidavit_runtime;
grant execute on function identity.presented_refresh_token() to affidavit_runtime;

-- identity.request_count
alter table identity.request_count enable row level security, force row level security;
create policy owner on identity.request_count to affidavit_owner using (true)
  with check (tenant_id = '00000000-0000-0000-0000-000000000000'
    or subject in ('tenant', 'principal:' || (select tenancy.principal_id()), 'key:' || (select tenancy.principal_id())));
grant execute on function identity.count_request(text, integer), identity.forgive_sign_in(text[]) to affidavit_runtime;

-- identity.session
alter table identity.session enable row level security, force row level security;
create policy own on identity.session for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()));
create policy own_insert on identity.session for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()));
create policy own_end on identity.session for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
create policy owner on identity.session for select to affidavit_owner using (true);
create policy distrusted on identity.session for update to affidavit_owner using (true) with check (revoked_at is not null);
grant execute on function identity.user_caller(text, uuid) to affidavit_runtime;
grant select on identity.session to affidavit_runtime;
grant insert (tenant_id, id, user_id, expires_at) on identity.session to affidavit_runtime;
grant update (revoked_at, revoked_reason) on identity.session to affidavit_runtime;

-- identity.user
grant usage on schema identity to affidavit_runtime;
alter table identity."user" enable row level security, force row level security;
create policy visible on identity."user" for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('users:manage'))
      or (select tenancy.has_permission('audit:read'))
      or username = (select tenancy.presented('username'))));
create policy managed_insert on identity."user" for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
create policy managed_update on identity."user" for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
create policy operator on identity."user" to affidavit_owner using (true) with check (true);
grant select on identity."user" to affidavit_runtime;
grant insert (tenant_id, id, username, display_name) on identity."user" to affidavit_runtime;
grant update (display_name, status) on identity."user" to affidavit_runtime;

-- identity.user_role
alter table identity.user_role enable row level security, force row level security;
create policy visible on identity.user_role for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (user_id = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))));
create policy managed_insert on identity.user_role for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and user_id <> (select tenancy.principal_id())
    and user_id not in (select k.created_by from identity.api_key k
      where k.id = (select tenancy.principal_id()) and k.created_by is not null)
    and (role not in ('compliance', 'privacy') or (select tenancy.context() ->> 'kind') = 'issuer'));
create policy managed_delete on identity.user_role for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and user_id <> (select tenancy.principal_id())
    and user_id not in (select k.created_by from identity.api_key k
      where k.id = (select tenancy.principal_id()) and k.created_by is not null));
create policy operator on identity.user_role to affidavit_owner using (true) with check (true);
grant select, delete on identity.user_role to affidavit_runtime;
grant insert (tenant_id, user_id, role) on identity.user_role to affidavit_runtime;

-- jobs.job
grant usage on schema jobs to affidavit_runtime;
alter table jobs.job enable row level security, force row level security;
create policy visible on jobs.job for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (requested_by = (select tenancy.principal_id())
      or (select tenancy.has_permission('users:manage'))
      or lease_id::text = (select tenancy.presented('lease'))));
create policy requested on jobs.job for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and requested_by = (select tenancy.principal_id())
    and request_id = (select tenancy.request_id()));
create policy cancelled on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and status in ('queued', 'running')
    and (requested_by = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))))
  with check (tenant_id = (select tenancy.tenant_id()) and status = 'cancelled');
create policy retried on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and retryable and id::text = (select tenancy.presented('retrying'))
    and (requested_by = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))))
  with check (tenant_id = (select tenancy.tenant_id()) and status = 'queued'
    and id::text = (select tenancy.presented('retrying')));
create policy worked on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and status = 'running' and lease_id::text = (select tenancy.presented('lease')))
  with check (tenant_id = (select tenancy.tenant_id()) and lease_id::text = (select tenancy.presented('lease')));
create policy queue_select on jobs.job for select to affidavit_owner using (true);
create policy queue_lease on jobs.job for update to affidavit_owner using (true) with check (status = 'running');
create policy queue_forget on jobs.job for delete to affidavit_owner using (finished_at is not null and not retryable);
grant execute on function jobs.lease(uuid, double precision), jobs.lease_expired(uuid, double precision, interval),
  jobs.forget(interval) to affidavit_runtime;
grant select (tenant_id, id, kind, requested_by, request_id, on_behalf_of, parameters, status, attempts, run_after, lease_id, leased_at,
  leased_until, done, total, result, error_code, error_detail, retryable, created_at, finished_at) on jobs.job to affidavit_runtime;
grant insert (tenant_id, id, kind, requested_by, request_id, on_behalf_of, parameters) on jobs.job to affidavit_runtime;
grant update (status, attempts, run_after, leased_until, done, total, result, error_code, error_detail, retryable, finished_at)
  on jobs.job to affidavit_runtime;

-- migration.alembic_version
grant usage on schema migration to affidavit_runtime, affidavit_sealer;
grant select on migration.alembic_version to affidavit_runtime, affidavit_sealer;

-- migration.privilege
grant select on migration.privilege to affidavit_runtime;

-- retrieval.collection_size
alter table retrieval.collection_size enable row level security, force row level security;
create policy readable on retrieval.collection_size for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
create policy writable_insert on retrieval.collection_size for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
create policy writable_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy reviewed_insert on retrieval.collection_size for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]));
create policy reviewed_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased on retrieval.collection_size for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and chunks = 0);
create policy operator on retrieval.collection_size for select to affidavit_owner using (true);
create policy operated on retrieval.collection_size for select to affidavit_operator using (true);
grant select, insert, delete on retrieval.collection_size to affidavit_runtime;
grant select (tenant_id, chunks) on retrieval.collection_size to affidavit_operator;
grant update (chunks) on retrieval.collection_size to affidavit_runtime;

-- retrieval.placement
alter table retrieval.placement enable row level security, force row level security;
create policy own on retrieval.placement for select to affidavit_runtime using (tenant_id = (select tenancy.tenant_id()));
create policy operator on retrieval.placement to affidavit_owner using (true) with check (true);
create policy operated on retrieval.placement for select to affidavit_operator using (true);
grant select on retrieval.placement to affidavit_runtime;
grant usage on schema retrieval to affidavit_operator;
grant select (tenant_id, state) on retrieval.placement to affidavit_operator;
grant execute on function retrieval.chunks_with_terms(integer[], uuid[], public.sparsevec, integer),
  retrieval.dimensions(public.sparsevec) to affidavit_runtime;

-- retrieval.term
grant usage on schema retrieval to affidavit_runtime;
alter table retrieval.term enable row level security, force row level security;
create policy readable on retrieval.term for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
create policy writable_insert on retrieval.term for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
create policy writable_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy reviewed_insert on retrieval.term for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]));
create policy reviewed_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased on retrieval.term for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and chunks = 0);
grant select, insert, delete on retrieval.term to affidavit_runtime;
grant update (chunks) on retrieval.term to affidavit_runtime;

-- storage.data_key
grant usage on schema storage to affidavit_runtime;
alter table storage.data_key enable row level security, force row level security;
create policy own_select on storage.data_key for select to affidavit_runtime using (tenant_id = (select tenancy.tenant_id()));
create policy own_insert on storage.data_key for insert to affidavit_runtime with check (tenant_id = (select tenancy.tenant_id()));
grant select on storage.data_key to affidavit_runtime;
grant insert (tenant_id, id, wrapped) on storage.data_key to affidavit_runtime;

-- tenancy.context_key
alter table tenancy.context_key enable row level security, force row level security;
create policy owner on tenancy.context_key to affidavit_owner using (true) with check (true);

-- tenancy.tenant
grant usage on schema tenancy to affidavit_runtime, affidavit_sealer;
grant execute on function tenancy.context(), tenancy.tenant_id(), tenancy.principal_id(), tenancy.subject_id(), tenancy.request_id(),
  tenancy.has_permission(text), tenancy.permissions(), tenancy.readable_collections(), tenancy.writable_collections(),
  tenancy.moment(), tenancy.known_at(), tenancy.presented(text) to affidavit_runtime;
grant execute on function tenancy.own_tenant(), tenancy.presented_tenant() to affidavit_runtime;
alter table tenancy.tenant enable row level security, force row level security;
create policy operator on tenancy.tenant to affidavit_owner using (true) with check (true);
create policy operated on tenancy.tenant for select to affidavit_operator using (true);
create policy operated_update on tenancy.tenant for update to affidavit_operator using (true)
  with check (delete_after is null or delete_after > now() + interval '23 hours');
grant usage on schema tenancy to affidavit_operator;
grant select, update (name, status, delete_after, requests_per_minute, principal_requests_per_minute)
  on tenancy.tenant to affidavit_operator;
grant execute on function identity.create_tenant(uuid, text, text, uuid, text, text[], text[]) to affidavit_operator;

do $$
declare
  item record;
begin
  for item in
    select c.oid::regclass as relation, c.oid = 'audit.event'::regclass as stays
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where n.nspname = any ('{migration,tenancy,identity,documents,retrieval,audit,storage,jobs}') and c.relkind in ('r', 'p') and not c.relispartition and a.attname = 'tenant_id'
      and (n.nspname <> 'audit' or c.relname not in ('event_document', 'log', 'leaf', 'node', 'checkpoint', 'archive'))
  loop
    execute format('create policy purged_select on %s for select to affidavit_owner
      using (tenant_id in (select tenancy.purgeable_tenants()))', item.relation);
    if not item.stays then
      execute format('create policy purged on %s for delete to affidavit_owner
        using (tenant_id in (select tenancy.purgeable_tenants()))', item.relation);
    end if;
  end loop;
end
$$;
do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where n.nspname = any ('{migration,tenancy,identity,documents,retrieval,audit,storage,jobs}') and c.relkind in ('r', 'p') and not c.relispartition
  loop
    -- What every question adds to the log is checked by the one policy that lets it: to ask the context again for the wall
    if relation in ('audit.event'::regclass, 'audit.payload'::regclass, 'audit.unindexed'::regclass) then
      execute format('create policy wall on %s as restrictive for select to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
      execute format('create policy wall_delete on %s as restrictive for delete to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    else
      execute format('create policy wall on %s as restrictive to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    end if;
  end loop;
end
$$;
do $$
declare
  item record;
begin
  for item in
    select a.attrelid::regclass as relation, a.attname as name
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ('{migration,tenancy,identity,documents,retrieval,audit,storage,jobs}') and c.relkind in ('r', 'p')
      and (coalesce(pg_get_expr(c.relpartbound, c.oid), '') not like 'FOR VALUES IN%'
        or pg_get_expr(c.relpartbound, c.oid) like '%00000000-0000-0000-0000-000000000000%')
      and a.attnum > 0 and not a.attisdropped and a.attstattarget is distinct from 0
  loop
    execute format('alter table %s alter column %I set statistics 0', item.relation, item.name);
  end loop;
end
$$;

set local search_path = pg_catalog, public;
insert into migration.privilege -- What the roles that serve, and everybody, may do with each object of the service, and what its functions and policies are.
with role as (
  select oid, rolname::text as name from pg_roles where rolname in ('affidavit_runtime', 'affidavit_sealer', 'affidavit_operator')
  union all select 0, 'public'
), space as (
  select oid, nspname, nspacl, nspowner from pg_namespace
  where nspname in ('migration', 'tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs')
), granted as (
  select 'schema ' || nspname as object, coalesce(nspacl, acldefault('n', nspowner)) as acl from space
  union all
  select format('%I.%I', s.nspname, c.relname), coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
  from pg_class c join space s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and not c.relispartition
  union all
  select format('%I.%I (%I)', s.nspname, c.relname, a.attname), a.attacl
  from pg_attribute a join pg_class c on c.oid = a.attrelid join space s on s.oid = c.relnamespace
  where a.attacl is not null and not c.relispartition
  union all
  select p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) from pg_proc p join space s on s.oid = p.pronamespace
)
select format('%s may %s on %s', r.name, lower(a.privilege_type), g.object) as what, a.is_grantable::text as how
from granted g cross join aclexplode(g.acl) a join role r on r.oid = a.grantee
union
select 'function ' || p.oid::regprocedure, md5(concat_ws('|', p.proowner::regrole, p.prosecdef, p.proleakproof, p.provolatile, p.proconfig,
  p.prosrc, pg_get_function_sqlbody(p.oid)))
from pg_proc p join space s on s.oid = p.pronamespace
union
select format('policy %I on %I.%I', l.polname, s.nspname, c.relname), md5(concat_ws('|', l.polcmd, l.polpermissive, l.polroles::regrole[],
  pg_get_expr(l.polqual, l.polrelid), '|', pg_get_expr(l.polwithcheck, l.polrelid)))
from pg_policy l join pg_class c on c.oid = l.polrelid join space s on s.oid = c.relnamespace
where l.polroles && array(select oid from role);

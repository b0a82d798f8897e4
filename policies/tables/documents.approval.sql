-- Decisions of reviewers on versions.
alter table documents.approval enable row level security, force row level security;

-- A caller sees the decisions in the collections whose chunks it sees.
create policy readable on documents.approval for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
-- A user with documents:review decides in its own name on a version that is in review. The author cannot, nor whoever stands behind
-- the key or the source that made it, and whoever has approved it before cannot do it again through another account.
create policy decided on documents.approval for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and approver_id = (select tenancy.principal_id())
    and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and documents.is_another_approver(version_id)
    and exists (select from documents.version v where v.tenant_id = approval.tenant_id and v.id = approval.version_id
      and v.collection_id = approval.collection_id and v.status = 'in_review' and v.created_by <> approval.approver_id
      and identity.is_second_person(case approval.decision when 'approved' then 'version:approve' else 'version:reject' end, v.author_id, v.created_at)
      and identity.is_second_person(case approval.decision when 'approved' then 'version:approve' else 'version:reject' end, v.created_by, v.created_at)));
-- A caller with erasure:execute deletes decisions of every collection.
create policy erased on documents.approval for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));

-- The owner's functions find out whether the same person has approved before, and what somebody who decided is called.
create policy compared on documents.approval for select to affidavit_owner using (true);

grant select, delete on documents.approval to affidavit_runtime;
grant insert (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision, comment)
  on documents.approval to affidavit_runtime;
-- Not granted: update. A decision stands.

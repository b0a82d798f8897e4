-- Decisions of reviewers on versions.
alter table documents.approval enable row level security, force row level security;

-- Decisions are seen with the collection.
create policy readable on documents.approval for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
-- A reviewer decides in its own name on a version that is in review. It is a user, another person than the author and than
-- everybody who has approved before.
create policy decided on documents.approval for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and approver_id = (select tenancy.principal_id())
    and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and identity.is_second_person(case decision when 'approved' then 'version:approve' else 'version:reject' end, author_id)
    and documents.is_another_approver(version_id)
    and exists (select from documents.version v where v.tenant_id = approval.tenant_id and v.id = approval.version_id
      and v.collection_id = approval.collection_id and v.status = 'in_review' and v.created_by <> approval.approver_id));
-- Who erases deletes what it erases, in every collection.
create policy erased on documents.approval for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));

-- Whether somebody approved before is asked as the owner, as people are compared there.
create policy compared on documents.approval for select to affidavit_owner using (true);

grant select, delete on documents.approval to affidavit_runtime;
grant insert (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision, comment)
  on documents.approval to affidavit_runtime;
-- Not granted: update. A decision stands.

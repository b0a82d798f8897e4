-- How many answers rested on a document.

-- For a reviewer, who is about to change what a document says and does not read the log: the answers since an id that cited any
-- version of a document of a collection that the caller may read. A count only; who was answered is told by the log.
create or replace function audit.count_answers_from(document uuid, since uuid) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select count(*) from audit.event_document e
  where e.tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and e.doc_id = (select d.doc_id from documents.document d
      where d.tenant_id = (select tenancy.tenant_id()) and d.id = $1
        and d.collection_id = any ((select tenancy.readable_collections())::uuid[]))
    and e.event_id >= $2 and e.action = 'answer:returned';
end;

grant execute on function audit.count_answers_from(uuid, uuid) to affidavit_runtime;

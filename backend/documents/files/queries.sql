-- name: document_files
-- The files of a document by its name, newest first, with the version that was made of each and its job as far as they are seen.
select f.id, f.document_id, d.doc_id, f.filename, f.media_type, f.size, f.sha256, f.submitted, f.job_id, j.status as job_status,
  v.number as document_version, v.status as version_status, f.created_at,
  v.number = (select max(l.number) from documents.version l where l.tenant_id = $1 and l.document_id = f.document_id) as latest
from documents.file f
join documents.document d on d.tenant_id = $1 and d.id = f.document_id
join documents.collection c on c.tenant_id = $1 and c.id = f.collection_id
left join documents.version v on v.tenant_id = $1 and v.id = f.version_id
left join jobs.job j on j.tenant_id = $1 and j.id = f.job_id
where f.tenant_id = $1 and c.slug = $2 and d.doc_id = $3
order by f.id desc limit $4

-- name: add_file
-- A file that was uploaded to a document.
insert into documents.file (tenant_id, id, collection_id, document_id, job_id, filename, media_type, size, sha256, submitted, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: file
-- A file with what was submitted with it.
select f.id, f.document_id, f.version_id, d.doc_id, d.source_type, c.slug as collection, f.filename, f.media_type, f.size, f.sha256,
  f.submitted
from documents.file f
join documents.document d on d.tenant_id = $1 and d.id = f.document_id
join documents.collection c on c.tenant_id = $1 and c.id = f.collection_id
where f.tenant_id = $1 and f.id = $2

-- name: file_of_version
-- The file that a version was made of; {file} is replaced by the columns of FileRow.
select {file} from documents.file where tenant_id = $1 and version_id = $2

-- name: tie_file
-- Says which version was made of a file, and of how many pages it is.
update documents.file f set version_id = v.id, page_count = $5
from documents.version v
where f.tenant_id = $1 and f.id = $2 and v.tenant_id = $1 and v.document_id = $3 and v.number = $4

-- name: withdraw_file
-- Takes back a file that became no version.
delete from documents.file where tenant_id = $1 and id = $2 and version_id is null

-- name: document_of_upload
-- The document of a job's file that is no version's.
select document_id from documents.file where tenant_id = $1 and job_id = $2 and version_id is null

-- name: withdraw_upload
-- Takes back the file of a job that made no version.
delete from documents.file where tenant_id = $1 and job_id = $2 and version_id is null returning id, sha256

-- name: withdrawn_document
-- The name of a document whose upload is taken back.
select doc_id from documents.document where tenant_id = $1 and id = $2

-- name: withdraw_with_document
-- Takes back the file of a job that made no version, and the document that was waiting for it. In one statement, since a policy
-- knows the document by its file.
with withdrawn as (
  delete from documents.file where tenant_id = $1 and job_id = $2 and version_id is null returning id, sha256, document_id
), removed as (
  delete from documents.document d using withdrawn w where d.tenant_id = $1 and d.id = w.document_id
)
select id, sha256 from withdrawn

-- name: add_upload
-- A file that goes to no collection yet.
insert into documents.upload (tenant_id, id, filename, media_type, size, sha256, created_by) values ($1, $2, $3, $4, $5, $6, $7)

-- name: uploads
-- The caller's uploads: one, those of a batch or a collection, those whose jobs are in a state, or all, behind one of them. {behind}
-- and {direction} are replaced by `>` and `asc`, or `<` and `desc`.
select u.id, u.filename, u.media_type, u.size, u.sha256, u.created_at, u.collection_id, u.document_id, u.job_id, u.batch_id,
  coalesce(v.number, u.document_version) as document_version, v.status as version_status, j.status as job_status,
  j.error_code, j.error_detail
from documents.upload u
left join jobs.job j on j.tenant_id = $1 and j.id = u.job_id
left join documents.file f on f.tenant_id = $1 and f.job_id = u.job_id
left join documents.version v on v.tenant_id = $1 and v.id = f.version_id
where u.tenant_id = $1 and ($2::uuid is null or u.id = $2) and ($3::uuid is null or u.batch_id = $3)
  and ($4::uuid is null or u.id {behind} $4) and ($6::uuid is null or u.collection_id = $6)
  and ($7::text[] is null or j.status = any ($7))
order by u.id {direction} limit $5

-- name: unbound_upload
-- An upload of the caller that goes to no collection yet; no other request gives it to one meanwhile.
select id, filename, media_type, size, sha256 from documents.upload where tenant_id = $1 and id = $2 and collection_id is null for update

-- name: bind_upload
-- Says to which collection an upload goes, and what becomes of it.
update documents.upload set collection_id = $3, document_id = $4, job_id = $5, document_version = $6, batch_id = $7
where tenant_id = $1 and id = $2

-- name: withdraw_staged
-- Takes back an upload that goes to no collection yet.
delete from documents.upload where tenant_id = $1 and id = $2 and collection_id is null returning sha256

-- name: end_stale_uploads
-- Forgets uploads of more than a day ago, and returns those whose files nothing else refers to.
select documents.end_stale_uploads() as id

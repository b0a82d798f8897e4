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
-- The file that a version was made of.
select id, filename, media_type, size, sha256, page_count from documents.file where tenant_id = $1 and version_id = $2

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

-- name: withdraw_document
-- Deletes a document that nothing has become of.
delete from documents.document where tenant_id = $1 and id = $2

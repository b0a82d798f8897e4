-- Who may do what, as the last migration left it; the service compares that with what is, before it serves.
grant select on migration.privilege to affidavit_runtime;
-- Not granted: insert, update, delete.

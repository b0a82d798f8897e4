-- What the last migration brought the database to; the service compares that with what is, before it serves.
grant select on migration.release to affidavit_runtime;
-- Not granted: insert, update, delete.

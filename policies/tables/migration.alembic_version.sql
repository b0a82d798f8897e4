-- The schema's revision, which the service compares with its own before it serves.
grant select on migration.alembic_version to affidavit_runtime, affidavit_sealer;
-- Not granted: insert, update, delete.

-- The schema's revision, which the service compares with its own before it serves.
grant usage on schema migration to affidavit_runtime, affidavit_sealer;
grant select on migration.alembic_version to affidavit_runtime, affidavit_sealer;
-- Not granted: insert, update, delete.

-- PostgreSQL lets everybody execute a new function unless it is told not to.
alter default privileges revoke execute on functions from public;

-- Which schemas a role may look into at all; what it may do there is said for each table and function.
grant usage on schema migration to affidavit_runtime, affidavit_sealer;
grant usage on schema tenancy to affidavit_runtime, affidavit_sealer, affidavit_operator;
grant usage on schema identity to affidavit_runtime, affidavit_operator;
grant usage on schema documents to affidavit_runtime;
grant usage on schema retrieval to affidavit_runtime, affidavit_operator;
grant usage on schema storage to affidavit_runtime;
grant usage on schema jobs to affidavit_runtime;
grant usage on schema answers to affidavit_runtime;
grant usage on schema evaluation to affidavit_runtime;
grant usage on schema webhooks to affidavit_runtime;
grant usage on schema sources to affidavit_runtime;
grant usage on schema audit to affidavit_runtime, affidavit_sealer, affidavit_operator;
-- Not granted: create, to anyone.

-- A function that is made later is nobody's until its file grants it; PostgreSQL would give it to everybody.
alter default privileges revoke execute on functions from public;

"""What an SQL injection could try: statements run as the runtime role inside the attacker's own bound transaction."""

from tests.isolation.attack import CHUNKS_OF_OTHERS, nothing, refused
from tests.isolation.attacks_on_functions import FUNCTIONS

CONTEXT = (
    nothing("resetting the context", "reset app.context", "select * from documents.chunk"),
    nothing("emptying the context", "set local app.context = ''", "select * from documents.chunk"),
    refused("naming another tenant in a plain setting", "set local app.context = '{victim}'", "select * from documents.chunk"),
    refused("forging a context without a code", "set local app.context = 'v1..{forged_claims}'", CHUNKS_OF_OTHERS),
    refused("forging a context with a code of zeros", "set local app.context = 'v1." + "0" * 64 + ".{forged_claims}'", CHUNKS_OF_OTHERS),
    refused("other claims under the code of its own", "set local app.context = 'v1.{own_code}.{forged_claims}'", CHUNKS_OF_OTHERS),
    refused("other claims behind its own", "set local app.context = 'v1.{own_code}.{own_claims}{forged_claims}'", CHUNKS_OF_OTHERS),
    refused("the same claims in another spelling", "set local app.context = 'v1.{own_code}. {own_claims}'", CHUNKS_OF_OTHERS),
    refused("another version of the format", "set local app.context = 'v0.{own_code}.{own_claims}'", CHUNKS_OF_OTHERS),
    refused("another separator", "set local app.context = 'v1.{own_code}:{own_claims}'", CHUNKS_OF_OTHERS),
    refused("a context of a megabyte", "set local app.context = 'v1." + "A" * 1_000_000 + "'", CHUNKS_OF_OTHERS),
    refused("the code in capitals", "set local app.context = 'v1.{own_code_upper}.{own_claims}'", CHUNKS_OF_OTHERS),
    refused("a context that is no text", "select set_config('app.context', E'v1.\\x01', true) is null", CHUNKS_OF_OTHERS),
    refused("reading the signing keys", "select * from tenancy.context_key"),
    refused("explaining the signing keys", "explain analyze select * from tenancy.context_key where id > 'a'"),
    refused("replacing the verifying function",
            "create or replace function tenancy.context() returns jsonb language sql as $$ select '{{}}'::jsonb $$"),
    refused("adding a signing key", "insert into tenancy.context_key (id, inner_pad, outer_pad) values ('x', '', '')"),
)  # fmt: skip

ROLES = (
    refused("becoming the owner", "set role affidavit_owner"),
    refused("becoming the owner for the transaction", "set local role affidavit_owner"),
    refused("becoming the owner through a function", "select set_config('role', 'affidavit_owner', false)"),
    refused("becoming the superuser", "set session authorization postgres"),
    refused(
        "becoming the superuser through a function", "select set_config('session_authorization', 'postgres', true)"
    ),
    refused("raising its own role", "alter role affidavit_runtime bypassrls"),
    refused("granting itself the owner", "grant affidavit_owner to affidavit_runtime"),
    refused("granting itself a table", "grant select on tenancy.context_key to affidavit_runtime"),
    refused("creating a role", "create role intruder superuser login"),
    refused("skipping triggers", "set local session_replication_role = 'replica'"),
    refused("turning row-level security off", "set local row_security = off", "select * from documents.chunk"),
    refused("turning row-level security off on a table", "alter table documents.chunk disable row level security"),
    refused("unforcing row-level security", "alter table documents.chunk no force row level security"),
    refused("adding a policy", "create policy open on documents.chunk for select using (true)"),
    refused("dropping a policy", "drop policy in_force on documents.chunk"),
    refused("leaving every policy", "drop owned by current_user"),
    refused("giving everything away", "reassign owned by current_user to postgres"),
    refused("changing default privileges", "alter default privileges grant select on tables to public"),
    refused("anonymous code", "do $$ begin perform 1; end $$"),
)

READING = (
    nothing("selecting another tenant's chunks", "select * from documents.chunk where tenant_id = '{victim}'"),
    nothing("a condition that is always true", "select * from documents.chunk where tenant_id = '{victim}' or 1 = 1 and tenant_id <> '{own}'"),
    nothing("a union", "select text from documents.chunk where false union all " + CHUNKS_OF_OTHERS.replace("*", "text")),
    nothing("a sub-query", "select (select text from documents.chunk c where c.tenant_id = '{victim}' limit 1) as t from documents.collection where false"),
    nothing("a lateral join",
            "select c.* from (values ('{victim}'::uuid)) v (id) cross join lateral (select * from documents.chunk where tenant_id = v.id) c"),
    nothing("a table sample", "select * from documents.chunk tablesample bernoulli (100) where tenant_id <> '{own}'"),
    nothing("a recursive query",
            "with recursive r as (select tenant_id from documents.chunk union select c.tenant_id from documents.chunk c join r on true)"
            " select * from r where tenant_id <> '{own}'"),
    nothing("the planner's favourite: ordering by distance", CHUNKS_OF_OTHERS + " order by dense <=> dense limit 100"),
    nothing("counting", "select count(*) from documents.chunk where tenant_id <> '{own}' having count(*) > 0"),
    nothing("reading physical rows by their place", "select * from documents.chunk where ctid = any (array(select format('(%s,%s)', p, i)::tid"
            " from generate_series(0, 20) p, generate_series(1, 20) i)) and tenant_id <> '{own}'"),
    nothing("a cursor", "declare peek cursor with hold for " + CHUNKS_OF_OTHERS, "fetch all from peek"),
    nothing("a statement prepared by SQL", "prepare peek as " + CHUNKS_OF_OTHERS, "execute peek"),
    nothing("xml of a query", "select 1 where query_to_xml($$" + CHUNKS_OF_OTHERS + "$$, true, false, '')::text like '%{victim}%'"),
    nothing("a search of another's words", "select ts_stat.word from ts_stat($$select to_tsvector(text) from documents.chunk where tenant_id <> '{own}'$$)"),
    nothing("another tenant's users", "select * from identity.\"user\" where tenant_id = '{victim}'", role="admin"),
    nothing("another tenant's grants", "select * from identity.collection_grant where tenant_id = '{victim}'", role="admin"),
    nothing("another tenant's sessions", "select * from identity.session where tenant_id = '{victim}'", role="admin"),
    nothing("another tenant's keys", "select * from identity.api_key where tenant_id = '{victim}'", role="admin"),
    nothing("another tenant's log", "select * from audit.event where tenant_id = '{victim}'", role="compliance"),
    nothing("another tenant's payloads", "select * from audit.payload where tenant_id = '{victim}'", role="compliance"),
    nothing("another tenant's data keys", "select id from audit.data_key where tenant_id = '{victim}'", role="compliance"),
    refused("wrapped keys of texts, its own included", "select wrapped from audit.data_key", role="compliance"),
    refused("the wrapped key of its tenant's files", "select wrapped from storage.data_key", role="admin"),
    refused("whether a wrapped key begins with a byte", "select 1 from audit.data_key where wrapped >= '\\x00'", role="privacy"),
    nothing("another tenant's file key", "select id from storage.data_key where tenant_id = '{victim}'", role="admin"),
    nothing("another tenant's term statistics", "select * from retrieval.term where tenant_id = '{victim}'"),
    refused("password hashes, its own included", "select hash from identity.password", role="admin"),
    refused("whether a password hash begins with a letter", "select 1 from identity.password where hash >= 'a'", role="admin"),
    refused("the hash of what it inserts", "insert into identity.password (tenant_id, user_id, hash) values ('{own}', '{me}', 'x')"
            " returning hash", role="admin"),
    refused("the list of tenants", "select slug from tenancy.tenant"),
    refused("digests of keys", "select digest from identity.api_key_secret", role="admin"),
    refused("digests of refresh tokens", "select digest from identity.refresh_token"),
    refused("a partition of the log", "select * from {audit_partition}", role="compliance"),
)  # fmt: skip

WIDENING = (
    nothing("documents outside its collections", "select * from documents.document where collection_id = '{restricted}'"),
    nothing("chunks outside its collections", "select * from documents.chunk where collection_id = '{restricted}'"),
    nothing("that a restricted collection exists", "select * from documents.collection where id = '{restricted}'"),
    nothing("who may read a restricted collection", "select * from identity.collection_grant where collection_id = '{restricted}'"),
    nothing("terms of a restricted collection", "select * from retrieval.term where collection_id = '{restricted}'"),
    nothing("the log without the permission", "select * from audit.event"),
    nothing("payloads without the permission", "select * from audit.payload", role="admin"),
    nothing("colleagues", "select * from identity.\"user\" where id <> '{me}'"),
    nothing("colleagues' data keys", "select id from audit.data_key where subject_id <> '{me}'"),
    refused("granting itself a collection",
            "insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access)"
            " values ('{own}', gen_random_uuid(), '{restricted}', '{me}', 'read')"),
    refused("granting itself a collection as administrator",
            "insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access)"
            " values ('{own}', gen_random_uuid(), '{restricted}', '{me}', 'read')", role="admin"),
    refused("granting its role a collection",
            "insert into identity.collection_grant (tenant_id, id, collection_id, role, access)"
            " values ('{own}', gen_random_uuid(), '{restricted}', 'admin', 'read')", role="admin"),
    refused("giving itself a role", "insert into identity.user_role (tenant_id, user_id, role) values ('{own}', '{me}', 'compliance')",
            role="admin"),
    refused("making a colleague a reviewer",
            "insert into identity.user_role (tenant_id, user_id, role) values ('{own}', '{other_user}', 'compliance')", role="admin"),
    refused("a password for a colleague who has none",
            "insert into identity.password (tenant_id, user_id, hash) values ('{own}', '{provided_user}', 'x')", role="admin"),
    refused("a key with a permission that it has not",
            "insert into identity.api_key (tenant_id, id, name, permissions, created_by)"
            " values ('{own}', gen_random_uuid(), 'x', '{{audit:reveal}}', '{me}')", role="admin"),
    refused("a key in another's name",
            "insert into identity.api_key (tenant_id, id, name, permissions, created_by)"
            " values ('{own}', gen_random_uuid(), 'x', '{{retrieval:query}}', gen_random_uuid())", role="admin"),
    refused("a secret for a key that another created",
            "insert into identity.api_key_secret (tenant_id, id, key_id, lookup_id, digest)"
            " values ('{own}', gen_random_uuid(), '{partner_key}', 'x', sha256('x'))", role="admin"),
    refused("a key's use of another collection",
            "insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access)"
            " values ('{own}', gen_random_uuid(), '{restricted}', '{partner_key}', 'read')", role="partner"),
    refused("lowering its request count", "update identity.request_count set requests = 0", role="partner"),
    refused("deleting its request count", "delete from identity.request_count", role="partner"),
    refused("reading request counts", "select * from identity.request_count", role="partner"),
    refused("a session without an end",
            "insert into identity.session (tenant_id, id, user_id, expires_at) values ('{own}', gen_random_uuid(), '{me}', 'infinity')"),
    refused("bringing its revoked session back", "update identity.session set revoked_at = null"),
    refused("a session of another user",
            "insert into identity.session (tenant_id, id, user_id, expires_at) values ('{own}', gen_random_uuid(), '{other_user}', now())"),
)  # fmt: skip

WRITING = (
    refused("a document in another tenant",
            "insert into documents.document (tenant_id, id, collection_id, doc_id, source_type, created_by)"
            " values ('{victim}', gen_random_uuid(), '{victim_collection}', 'planted', 'x', '{me}')", role="editor"),
    refused("a document in another tenant's collection",
            "insert into documents.document (tenant_id, id, collection_id, doc_id, source_type, created_by)"
            " values ('{own}', gen_random_uuid(), '{victim_collection}', 'planted', 'x', '{me}')", role="editor"),
    refused("a version of another tenant's document",
            "insert into documents.version (tenant_id, id, collection_id, document_id, number, status, takes_chunks, approvals_needed,"
            " content_sha256, author_id, created_by) values ('{own}', gen_random_uuid(), '{default}', '{victim_document}', 7, 'draft',"
            " true, 0, sha256(''), '{me}', '{me}')", role="editor"),
    refused("a version of a document outside its collections",
            "insert into documents.version (tenant_id, id, collection_id, document_id, number, status, takes_chunks, approvals_needed,"
            " content_sha256, author_id, created_by) values ('{own}', gen_random_uuid(), '{default}', '{restricted_document}', 7, 'draft',"
            " true, 0, sha256(''), '{me}', '{me}')", role="editor"),
    nothing("changing another tenant's version", "update documents.version set reason = 'x' where tenant_id = '{victim}' returning id",
            role="editor"),
    nothing("deleting another tenant's documents", "delete from documents.document where tenant_id = '{victim}' returning id", role="admin"),
    nothing("disabling another tenant's user", "update identity.\"user\" set status = 'disabled' where tenant_id = '{victim}' returning id",
            role="admin"),
    nothing("revoking another tenant's key", "update identity.api_key set revoked_at = now() where tenant_id = '{victim}' returning id",
            role="admin"),
    nothing("withdrawing another tenant's grant", "delete from identity.collection_grant where tenant_id = '{victim}' returning id",
            role="admin"),
    refused("moving a row to another tenant", "update documents.collection set tenant_id = '{victim}'", role="admin"),
    refused("a user of another tenant", "insert into identity.\"user\" (tenant_id, id, username) values ('{victim}', gen_random_uuid(), 'x')",
            role="admin"),
    refused("a password of another tenant's user",
            "insert into identity.password (tenant_id, user_id, hash) values ('{victim}', '{victim_user}', 'x')", role="admin"),
    refused("a role for another tenant's user",
            "insert into identity.user_role (tenant_id, user_id, role) values ('{own}', '{victim_user}', 'admin')", role="admin"),
    refused("another tenant's unique name",
            "insert into identity.\"user\" (tenant_id, id, username) values ('{victim}', gen_random_uuid(), 'admin')"
            " on conflict do nothing", role="admin"),
    refused("a grant on another tenant's collection",
            "insert into identity.collection_grant (tenant_id, id, collection_id, role, access)"
            " values ('{own}', gen_random_uuid(), '{victim_collection}', 'editor', 'write')", role="admin"),
    refused("suspending a tenant", "update tenancy.tenant set status = 'suspended'", role="admin"),
    refused("truncating", "truncate documents.chunk", role="editor"),
    refused("dropping", "drop table documents.chunk cascade", role="admin"),
    refused("a merge into another tenant's terms",
            "insert into retrieval.term (tenant_id, collection_id, dimension, chunks) values ('{victim}', '{victim_collection}', 1, 9)"
            " on conflict (tenant_id, collection_id, dimension) do update set chunks = 0", role="editor"),
)  # fmt: skip

AUDIT = (
    refused("changing an event", "update audit.event set envelope = '{{}}'", role="compliance"),
    refused("deleting events", "delete from audit.event", role="compliance"),
    refused("truncating the log", "truncate audit.event", role="compliance"),
    refused("deleting from a partition", "delete from {audit_partition}", role="compliance"),
    refused("detaching a partition", "alter table audit.event detach partition {audit_partition}", role="compliance"),
    refused("disabling the triggers", "alter table audit.event disable trigger all", role="compliance"),
    refused("an event in another tenant", "insert into audit.event (id, envelope) values ('{event_id}', $${victim_envelope}$$)"),
    refused("an event in a colleague's name", "insert into audit.event (id, envelope) values ('{event_id}', $${colleague_envelope}$$)"),
    refused("an event of another request", "insert into audit.event (id, envelope) values ('{event_id}', $${other_request_envelope}$$)"),
    refused("changing payloads", "update audit.payload set ciphertext = ''", role="compliance"),
    nothing("deleting payloads and data keys", "delete from audit.payload returning *", "delete from audit.data_key returning id",
            role="compliance"),
    nothing("deleting payloads and data keys without an approved erasure", "delete from audit.payload returning *",
            "delete from audit.data_key returning id", role="privacy"),
    refused("approving the erasure that it asked for itself", "update audit.erasure set approved_by = '{me}'", role="privacy"),
    refused("approving an erasure in a colleague's name", "update audit.erasure set approved_by = '{other_user}'", role="privacy"),
    refused("asking for an erasure in a colleague's name",
            "insert into audit.erasure (tenant_id, id, subject_id, legal_basis, requested_by)"
            " values ('{own}', gen_random_uuid(), '{me}', 'GDPR', '{other_user}')", role="privacy"),
    refused("an erasure that is approved from the start",
            "insert into audit.erasure (tenant_id, id, subject_id, legal_basis, requested_by, approved_by)"
            " values ('{own}', gen_random_uuid(), '{me}', 'GDPR', '{me}', '{other_user}')", role="privacy"),
    nothing("releasing holds", "update audit.hold set released_by = '{me}', released_at = now() returning id", role="privacy"),
    nothing("shortening the retention", "update audit.retention set days = 0 returning *", "delete from audit.retention returning *",
            role="privacy"),
    refused("a data key for a colleague",
            "insert into audit.data_key (tenant_id, id, subject_id, month, wrapped)"
            " values ('{own}', gen_random_uuid(), '{other_user}', '2030-01-01', '')"),
    refused("a payload in another tenant",
            "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext)"
            " values ('{victim}', gen_random_uuid(), 'x', gen_random_uuid(), '')"),
    refused("a document in an earlier event",
            "insert into audit.event_document (tenant_id, doc_id, event_id) values ('{own}', 'planted', '{earlier_event}')"),
    refused("a text in an earlier event",
            "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext)"
            " values ('{own}', '{earlier_event}', 'planted', '{data_key}', '')"),
    refused("a text in an earlier event, as who may reveal",
            "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext)"
            " values ('{own}', '{earlier_event}', 'planted', '{data_key}', '')", role="compliance"),
    refused("a word of an earlier event's text",
            "insert into audit.payload_term (tenant_id, term, event_id, name) values ('{own}', 1, '{earlier_event}', 'query')"),
    refused("an event of another tenant to be indexed",
            "insert into audit.unindexed (tenant_id, event_id, doc_ids, action, outcome)"
            " values ('{victim}', gen_random_uuid(), '{{}}', 'x', 'y')"),
    refused("what is to be indexed, seen", "select * from audit.unindexed"),
    refused("what is to be indexed, withdrawn", "delete from audit.unindexed"),
    refused("an event kept from being sealed", "delete from audit.unsealed"),
    refused("an event queued twice to stop the sealer", "insert into audit.unsealed select '{own}', '{own_event}'"),
    refused("indexing for other tenants", "select audit.index_oldest_events(1000)"),
    refused("indexing an event of its choice", "select audit.index_events(array['{own}'::uuid], array['{earlier_event}'::uuid])"),
    refused("a transaction of its choice as that of the text",
            "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext, xid)"
            " values ('{own}', gen_random_uuid(), 'x', '{data_key}', '', '3')"),
    refused("a partition of its own", "select audit.create_partition('2040-01-01')"),
)  # fmt: skip

SMUGGLING = (
    refused("a function that sees rows before the policy does",
            "create function public.leak(text) returns boolean language plpgsql cost 0.0001 as $$ begin raise notice '%', $1; return true; end $$"),
    refused("a temporary function", "create function pg_temp.leak(text) returns boolean language sql as 'select true'"),
    refused("a function that claims to be leakproof",
            "create function public.leak(text) returns boolean language sql leakproof as 'select true'"),
    refused("an operator", "create operator public.=== (function = texteq, leftarg = text, rightarg = text)"),
    refused("a view", "create view public.peek as select * from documents.chunk"),
    refused("a temporary view", "create temp view peek as select * from documents.chunk"),
    refused("a temporary table", "create temp table stash as select 1 as x"),
    refused("a table copied from another", "select * into public.stash from documents.chunk"),
    refused("a schema on the search path", "create schema evil"),
    refused("an object in the definer functions' path", "create function pg_catalog.sha256(bytea) returns bytea language sql as 'select $1'"),
    refused("a cast", "create cast (uuid as text) without function"),
    refused("a rule", "create rule peek as on insert to documents.document do also select 1"),
    refused("a trigger", "create trigger peek after insert on documents.document execute function audit.refuse_change()"),
    refused("statistics of two columns", "create statistics s (ndistinct) on tenant_id, doc_id from documents.document"),
    refused("an index on an expression of its own", "create index on documents.document ((lower(doc_id)))"),
    refused("an extension", "create extension dblink"),
    refused("a foreign server", "create server away foreign data wrapper postgres_fdw"),
    refused("a library", "load '/tmp/evil.so'"),
    refused("a publication", "create publication leak for all tables"),
    refused("a replication slot", "select pg_create_logical_replication_slot('leak', 'test_decoding')"),
    nothing("an error that repeats a foreign value", "select text::int from documents.chunk where tenant_id <> '{own}'"),
    nothing("a division that fails on foreign rows", "select 1 / (length(text) - length(text)) from documents.chunk where tenant_id = '{victim}'"),
    nothing("a search path of its own", "set local search_path = pg_temp, public", CHUNKS_OF_OTHERS),
    nothing("null comparisons rewritten", "set local transform_null_equals = on", CHUNKS_OF_OTHERS),
    nothing("rows returned by an upsert", "insert into retrieval.term (tenant_id, collection_id, dimension, chunks) select '{own}', '{default}', 1, 1"
            " where false on conflict do nothing returning *", role="editor"),
)  # fmt: skip

SERVER = (
    refused("reading a file", "select pg_read_file('postgresql.conf')"),
    refused("reading a binary file", "select pg_read_binary_file('global/pg_control')"),
    refused("listing a folder", "select pg_ls_dir('.')"),
    refused("copying a table to a file", "copy documents.chunk to '/tmp/chunks'"),
    refused("copying to a program", "copy (select 1) to program 'id'"),
    refused("copying from a file", "copy documents.document from '/etc/passwd'"),
    refused("importing a large object", "select lo_import('/etc/passwd')"),
    refused("making a large object", "select lo_from_bytea(0, 'x')"),
    refused("reading large objects", "select lo_get(1)"),
    refused("pages of large objects", "select * from pg_largeobject"),
    refused("what others are doing", "select query from pg_stat_activity"),
    refused("what others are doing, through the function", "select * from pg_stat_get_activity(null)"),
    refused("what others run", "select pg_stat_get_backend_activity(1)"),
    refused("what others have locked", "select * from pg_locks"),
    refused("whether the row at a place was changed", "select currtid2('identity.\"user\"', '(0,1)')"),
    refused("who holds a row together", "select * from pg_get_multixact_members('1')"),
    refused("which pages of which tables were written", "select * from pg_wal_summary_contents(1, '0/0', '0/1')"),
    refused("how busy tables are", "select * from pg_stat_user_tables"),
    refused("how busy tables are in this transaction", "select * from pg_stat_xact_user_tables"),
    refused("how busy indexes are", "select * from pg_stat_user_indexes"),
    refused("how full the queue of notifications is", "select pg_notification_queue_usage()"),
    refused("ending another connection", "select pg_terminate_backend(1)"),
    refused("cancelling another's statement", "select pg_cancel_backend(1)"),
    refused("password hashes of roles", "select * from pg_authid"),
    refused("statistics as they are stored", "select starelid from pg_statistic"),
    nothing("statistics as they are shown", "select most_common_vals::text, histogram_bounds::text from pg_stats"
            " where schemaname in ('identity', 'documents', 'retrieval', 'audit', 'tenancy')"),
    nothing("extended statistics", "select statistics_name from pg_stats_ext"),
    nothing("sequences", "select * from pg_sequences"),
    nothing("prepared transactions", "select * from pg_prepared_xacts"),
    refused("writing to the log of writes", "select pg_logical_emit_message(false, 'x', 'y')"),
    refused("moving the server's settings", "alter system set log_statement = 'all'"),
    refused("reloading the server", "select pg_reload_conf()"),
    refused("changing the signing of statements", "set log_statement = 'all'"),
    refused("resetting statistics", "select pg_stat_reset()"),
)  # fmt: skip

ATTACKS = (*CONTEXT, *ROLES, *READING, *WIDENING, *WRITING, *AUDIT, *SMUGGLING, *SERVER, *FUNCTIONS)

# What PostgreSQL shows to every role, so that no policy of ours hides it.
SHOWN_BY_POSTGRES = (
    "names of tables, columns, functions and policies, and their definitions (they are in this repository)",
    "total size and approximate row count of each table over all tenants, and how many rows a scan of it skipped",
    "a partition of its own for each large tenant: the tenant's id, and the partition's size and approximate row count",
    "transaction ids, write-ahead log positions and the places of its own rows, from which the rate of all writes can be told",
    "whether anybody has written to a page that holds some of its own rows since that was last vacuumed, but not who or what",
    "in a partition of its own, how many of its own tenant's chunks that it may not see an index passed over for given words or vectors",
    "of its own tenant, what an index holds of rows that it may not see: names of users, collections and documents, ids, times",
    "of its own tenant, how far rows that it may not see get through a policy, since `EXPLAIN ANALYZE` shows what was never asked",
    "whether somewhere in a table a column has no value, a true one, or a list of so many elements, but not in whose row",
    "how long its own statements take, and so how busy the server is",
    "by LOCK TABLE, whether anybody uses a table at the moment, and holding them up for as long as a transaction may idle",
    "notifications and advisory locks, by which two sessions that collude can signal; the service puts nothing in them",
    "its own role's password and defaults, which every role may change for itself",
)

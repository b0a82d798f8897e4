"""Attacks on the service's own functions, which an SQL injection may call as the service does.

Some run as the owner, some bind the transaction to a context that they are given. Placeholders as in `attack`, and
`{own_context}`, the attacker's signed context; `{victim_context}`, one that was signed for another tenant on another
connection; `{secret_terms}` and `{question}`, the terms of texts that the attacker may not read.
"""

from tests.isolation.attack import CHUNKS_OF_OTHERS, nothing, refused

FORGED = "$c$v1." + "0" * 64 + ".{forged_claims}$c$"
OWN, ANOTHERS = "$c${own_context}$c$", "$c${victim_context}$c$"
VICTIMS, RESTRICTED = "array['{victim_collection}'::uuid]", "array['{restricted}'::uuid]"


def user_caller(context: str) -> str:
    return f"select * from identity.user_caller({context}, '{{victim_session}}')"


def presented_key(context: str) -> str:
    return f"select * from identity.presented_key({context})"


def presented_scim_bearer(context: str) -> str:
    return f"select * from identity.presented_scim_bearer({context})"


def presented_browser(context: str) -> str:
    return f"select * from identity.presented_browser({context})"


def chunks_with_terms(
    searched: str, *, terms: str = "{secret_terms}", question: str = "{question}", most: str = "100"
) -> str:
    return f"select * from retrieval.chunks_with_terms({terms}, {searched}, {question}, {most})"


BINDING = (user_caller, presented_key, presented_scim_bearer, presented_browser)

GIVEN_A_CONTEXT = (
    *(refused(f"{call.__name__} under a forged context", call(FORGED)) for call in BINDING),
    *(refused(f"{call.__name__} under another's context", call(ANOTHERS)) for call in BINDING),
    *(nothing(f"{call.__name__} of another tenant under its own context", call(OWN), call("null")) for call in BINDING),
    *(nothing(f"{call.__name__} without a context", call("''"), call("null")) for call in BINDING),
    nothing("a colleague's session", "select * from identity.user_caller(null, '{other_session}')"),
    refused("a key's digest under its own code", presented_key("$c$v1.{own_code}.{claims_with_digest}$c$")),
    nothing("leaving the context in the middle of a statement",
            "with left_behind as materialized (select count(*) from identity.presented_key(''))"
            " select c.* from left_behind, documents.chunk c where c.tenant_id <> '{own}'"),
    nothing("leaving the context and coming back", presented_key("''"), presented_key(OWN), CHUNKS_OF_OTHERS,
            "select * from documents.collection where id = '{restricted}'"),
    refused("another's context in the middle of a statement",
            f"select c.* from documents.chunk c, lateral ({presented_key(ANOTHERS)} offset 0) k"),
)  # fmt: skip

AS_THE_OWNER = (
    nothing("chunks of others with terms", chunks_with_terms(VICTIMS), chunks_with_terms(RESTRICTED),
            chunks_with_terms(f"{VICTIMS} || {RESTRICTED}", most="null")),
    nothing("chunks with terms, given null", chunks_with_terms("null"), chunks_with_terms(VICTIMS, terms="null"),
            chunks_with_terms(VICTIMS, question="null"), chunks_with_terms("null", terms="null", question="null", most="null")),
    nothing("chunks with terms, given very many",
            chunks_with_terms(VICTIMS, terms="array(select generate_series(1, 200000))"),
            chunks_with_terms(f"array(select gen_random_uuid() from generate_series(1, 100000)) || {VICTIMS}")),
    nothing("chunks with terms of other dimensions", chunks_with_terms(VICTIMS, question="'{{1:1}}/5'"),
            chunks_with_terms(VICTIMS, terms="array[-1, 2147483647]")),
    nothing("chunks with terms without a context", "set local app.context = ''", chunks_with_terms(VICTIMS)),
    refused("chunks with terms under a forged context", f"set local app.context = {FORGED.replace('$c$', chr(39))}",
            chunks_with_terms(VICTIMS)),
    refused("fewer chunks with terms than none", chunks_with_terms(VICTIMS, most="-1")),
    nothing("a search path of its own for functions of the owner", "set local search_path = pg_temp, public", chunks_with_terms(VICTIMS),
            presented_key("null"), "select * from identity.presented_refresh_token()"),
    refused("an operator in place of the owner's", "create operator public.&& (function = arrayoverlap, leftarg = anyarray, rightarg = anyarray)"),
    refused("a function in place of the owner's", "create or replace function retrieval.dimensions(sparsevec) returns integer[] language sql as 'select null'"),
    nothing("a password hash without signing in", "select hash from identity.presented_password() hash where hash is not null", role="admin"),
    nothing("a password hash for nobody", "set local app.context = ''",
            "select hash from identity.presented_password() hash where hash is not null"),
    refused("a password hash under a forged context", f"set local app.context = {FORGED.replace('$c$', chr(39))}",
            "select identity.presented_password()"),
    nothing("keys of texts without revealing", "select * from audit.revealed_keys(array['{data_key}'::uuid])", role="privacy"),
    nothing("another tenant's keys of texts", "select * from audit.revealed_keys(array['{victim_data_key}'::uuid])", role="compliance"),
    nothing("keys of texts of nobody", "set local app.context = ''", "select * from audit.revealed_keys(array['{data_key}'::uuid])",
            "select * from audit.own_data_key('{month}')", "select * from storage.own_data_key()"),
    nothing("keys of another's texts", "select * from audit.own_data_key('2020-01-01')"),
    nothing("a file key of another tenant", "select * from storage.own_data_key() where id = '{victim_file_key}'", role="admin"),
    nothing("looking up a key without its secret", presented_key("null")),
    nothing("looking up a browser without its cookie", presented_browser("null")),
    nothing("looking up a refresh token without it", "select * from identity.presented_refresh_token()"),
    nothing("looking up a tenant by its slug", "select * from tenancy.presented_tenant()"),
    nothing("looking up the document of an upload that nobody takes back",
            "select id from documents.withdrawn_document() id where id is not null", role="admin"),
    nothing("what another tenant is called", "select * from tenancy.own_tenant() where slug = '{victim_slug}'"),
    nothing("what the cell is called, where there is one only", "select x from tenancy.cell_name() x where x is not null"),
    refused("whether a tenant is at home here", "select tenancy.is_home('{victim}')", "select tenancy.require_home('{victim}')",
            "select tenancy.elsewhere()", "select tenancy.not_at_home()", "select tenancy.newcomers()", "select tenancy.has_left('{victim}')",
            "select tenancy.note_adopted(array['{victim}'::uuid])"),
    nothing("what no tenant is called", "set local app.context = ''", "select * from tenancy.own_tenant()"),
    nothing("looking up the provider that a tenant trusts", "select * from identity.presented_issuer()", role="admin"),
    nothing("the collections that may be erased, without erasing", "select 1 where cardinality(documents.erasable_collections()) > 0",
            role="privacy"),
    nothing("giving sign-ins back", "select x from identity.forgive_sign_in(array['sign_in:@203.0.113.7']) x where x::text <> ''",
            role="admin"),
    refused("counting a sign-in against an address", "select * from identity.count_request('sign_in:@203.0.113.7', 60)", role="admin"),
    refused("using up a colleague's requests", "select * from identity.count_request('principal:{other_user}', 60)", role="admin"),
    refused("using up a key's requests", "select * from identity.count_request('key:{partner_key}', 60)", role="admin"),
    refused("counting for nobody", "set local app.context = ''", "select * from identity.count_request('tenant', 60)"),
    nothing("indexing without reading the log", "select 1 where audit.index_own_events() > 0", role="admin"),
    refused("the events behind the sealer's backlog", "select * from audit.seal_backlog()", "select * from audit.unsealed"),
    nothing("hashes of all checkpoints without reading the log", "select * from audit.nodes_of_all(array[0, 1, 2], array[0, 0, 0])",
            "select * from audit.nodes_of_all(null, null)", role="admin"),
    nothing("whether an archive is forged where none is", "select 1 where audit.has_forged_archive()"),
    nothing("whether an archive of another tenant is genuine",
            "select 1 where audit.is_accounted_for(row('{victim}', '2019-01-01', 0, 1, 1, sha256('x'), 1, now(), now(), null)::audit.archive)"),
    nothing("indexing for nobody", "set local app.context = ''", "select 1 where audit.index_own_events() > 0"),
    nothing("a bearer's last use", "select x from identity.note_bearer_use('{me}') x where x is not null", role="admin"),
    nothing("roles to settle, without being the provider", "select * from identity.roles_to_settle(array['{me}', '{victim_user}']::uuid[])",
            role="admin"),
    nothing("another name for whom the provider does not keep", "select 1 where identity.rename_provisioned_user('{me}', 'renamed')",
            "select 1 where identity.rename_provisioned_user('{victim_user}', 'renamed')", role="admin"),
    nothing("another key's last use", "select x from identity.note_key_use() x where x is not null", role="admin"),
    nothing("jobs of everybody", "select * from jobs.lease(gen_random_uuid(), 60)",
            "select * from jobs.lease(gen_random_uuid(), 60, '{{}}', '{{}}')",
            "select * from jobs.lease(gen_random_uuid(), 60, '{{}}', '{{}}', '{{}}', '{{}}')",
            "select * from jobs.lease_expired(gen_random_uuid(), 60, interval '0')", role="admin"),
    nothing("how many jobs others have", "select 1 where jobs.unfinished('document:ingest', 10) > 0", role="admin"),
    nothing("forgetting what was done", "select 1 where jobs.forget(interval '0') > 0", role="admin"),
    refused("a tenant of its own", "select identity.create_tenant(gen_random_uuid(), 'x', 'x', gen_random_uuid(), 'x', null, null)"),
    refused("a partition for itself", "select retrieval.create_private_partition('{own}')", role="admin"),
    nothing("claims that nobody signed", "select * from tenancy.context() c where c ->> 'tenant' <> '{own}'"),
)  # fmt: skip

OF_WEBHOOKS = (
    nothing("endpoints of everybody", "select * from webhooks.lease(gen_random_uuid(), 60, 0, '{{}}')",
            "select 1 where webhooks.longest_due() is not null", role="admin"),
    nothing("endpoints of everybody, for nobody", "set local app.context = ''",
            "select * from webhooks.lease(gen_random_uuid(), 60, 0, '{{}}')"),
    nothing("a lease that nobody gave", "select 1 where webhooks.leased_endpoint() is not null",
            "select * from webhooks.leased_secrets()", role="admin"),
    nothing("the log without a lease", "select * from webhooks.told_events(0, 1000000)",
            "select 1 from webhooks.open_turns(0, 1000000, 0) t where t.turns <> '[]'", role="admin"),
    nothing("how far the log is sealed, without managing webhooks", "select 1 where webhooks.sealed_end() is not null",
            "select 1 where webhooks.sealed_end('-infinity') is not null"),
    nothing("how far anybody's log is sealed, for nobody", "set local app.context = ''",
            "select 1 where webhooks.sealed_end() is not null"),
    nothing("versions and answers without a lease", "select * from webhooks.superseded_by('{restricted_document}', 2)",
            "select * from webhooks.citing_turns('{restricted_document}', 1, 100)", role="admin"),
    refused("an endpoint without managing webhooks",
            "insert into webhooks.endpoint (tenant_id, id, url, kinds, position, turns_position, created_by)"
            " values ('{own}', gen_random_uuid(), 'https://evil.example', '{{hold.placed}}', 0, 0, '{me}')"),
    refused("an endpoint of another tenant",
            "insert into webhooks.endpoint (tenant_id, id, url, kinds, position, turns_position, created_by)"
            " values ('{victim}', gen_random_uuid(), 'https://evil.example', '{{hold.placed}}', 0, 0, '{me}')", role="admin"),
    refused("an endpoint in another's name",
            "insert into webhooks.endpoint (tenant_id, id, url, kinds, position, turns_position, created_by)"
            " values ('{own}', gen_random_uuid(), 'https://evil.example', '{{hold.placed}}', 0, 0, '{other_user}')", role="admin"),
    refused("a lease on an endpoint", "update webhooks.endpoint set lease_id = gen_random_uuid(), leased_until = 'infinity'", role="admin"),
    refused("sealed secrets of webhooks", "select sealed from webhooks.secret", role="admin"),
    refused("a message that the log does not tell",
            "insert into webhooks.delivery (tenant_id, endpoint_id, id, kind, body)"
            " values ('{own}', gen_random_uuid(), gen_random_uuid(), 'hold.placed', '{{}}')", role="admin"),
    nothing("another tenant's endpoints", "select * from webhooks.endpoint where tenant_id <> '{own}'",
            "select * from webhooks.delivery where tenant_id <> '{own}'", role="admin"),
)  # fmt: skip

OF_SOURCES = (
    nothing("sources of everybody", "select * from sources.take_due()", "select * from sources.take_due('{{}}')", role="admin"),
    nothing("sources of everybody, for nobody", "set local app.context = ''", "select * from sources.take_due()"),
    nothing("being a source", "select * from sources.own_source()",
            "select 1 where sources.own_sealed() is not null", role="admin"),
    refused("sealed credentials of sources", "select sealed from sources.source", role="admin"),
    refused("a source without managing sources",
            "insert into sources.source (tenant_id, id, name, kind, collection_id, address, source_type, responsible_id, created_by)"
            " values ('{own}', gen_random_uuid(), 'x', 'urls', '{restricted}', 'https://evil.example', 'x', '{me}', '{me}')"),
    refused("a source of another tenant",
            "insert into sources.source (tenant_id, id, name, kind, collection_id, address, source_type, responsible_id, created_by)"
            " values ('{victim}', gen_random_uuid(), 'x', 'urls', '{victim_collection}', 'https://evil.example', 'x', '{me}', '{me}')",
            role="admin"),
    refused("a source for which somebody else answers",
            "insert into sources.source (tenant_id, id, name, kind, collection_id, address, source_type, responsible_id, created_by)"
            " select '{own}', gen_random_uuid(), 'x', 'urls', c.id, 'https://evil.example', 'x', '{other_user}', '{me}'"
            " from documents.collection c where c.slug = 'default'", role="admin"),
    refused("a source of a collection that asks for no approval",
            "insert into sources.source (tenant_id, id, name, kind, collection_id, address, source_type, responsible_id, created_by)"
            " select '{own}', gen_random_uuid(), 'x', 'urls', c.id, 'https://evil.example', 'x', '{me}', '{me}'"
            " from documents.collection c where c.slug = 'default'", role="admin"),
    refused("a key under the id of a user",
            "insert into identity.api_key (tenant_id, id, name, permissions, created_by, owner_id)"
            " values ('{own}', '{other_user}', 'x', '{{}}', '{me}', '{me}')", role="admin"),
    refused("who stands behind sources", "select * from sources.keeper", "delete from sources.keeper",
            "insert into sources.keeper (tenant_id, source_id, user_id) values ('{own}', gen_random_uuid(), '{me}')", role="admin"),
    refused("forgetting what sources held", "select sources.forget(array['{restricted_document}'::uuid], '{{}}', '{{}}', '{{}}')",
            role="privacy"),
    nothing("forgetting runs", "select 1 where sources.forget_old_runs() > 0", role="admin"),
    nothing("names that were erased", "select * from sources.erased_among(array[sha256('x')])", role="admin"),
    refused("what no source brings back", "select * from sources.erased", "delete from sources.erased", role="admin"),
    refused("what a source held", "insert into sources.item (tenant_id, source_id, key_sha256, key, state)"
            " values ('{own}', gen_random_uuid(), sha256('x'), 'x', 'present')", role="admin"),
    refused("another collection for a source", "update sources.source set collection_id = '{restricted}'", role="admin"),
    refused("a run in another's name",
            "insert into sources.run (tenant_id, id, source_id, asked_by)"
            " values ('{own}', gen_random_uuid(), gen_random_uuid(), '{other_user}')", role="admin"),
    nothing("when a source is due that nobody schedules", "select 1 where sources.next_time(null, null, now()) is not null"),
    nothing("another tenant's sources", "select id from sources.source where tenant_id <> '{own}'",
            "select * from sources.item where tenant_id <> '{own}'", "select * from sources.run where tenant_id <> '{own}'",
            role="admin"),
    nothing("sources without managing them", "select id from sources.source", "select * from sources.item", "select * from sources.run"),
)  # fmt: skip

NOBODYS = "'00000000-0000-0000-0000-000000000001'"

OF_PEOPLE = (
    refused("ending the sessions of programs without managing keys", "select identity.end_client_sessions('agent.example')"),
    refused("ending the sessions of programs as a key", "select identity.end_client_sessions('agent.example')", role="partner"),
    nothing("ending the sessions of another tenant's programs", "select 1 where identity.end_client_sessions('agent.example') > 0",
            role="admin"),
    refused("allowing a program's host without managing keys",
            "insert into identity.client_host (tenant_id, host, added_by) values ('{own}', 'agent.example', '{me}')"),
    refused("allowing a program's host in another's name",
            "insert into identity.client_host (tenant_id, host, added_by) values ('{own}', 'agent.example', '{other_user}')", role="admin"),
    refused("choosing which models answer without managing collections",
            "insert into answers.policy (tenant_id, models, changed_by) values ('{own}', '{{cheap}}', '{me}')"),
    refused("choosing which models answer in another's name",
            "insert into answers.policy (tenant_id, models, changed_by) values ('{own}', '{{cheap}}', '{other_user}')", role="admin"),
    refused("choosing which models answer another tenant",
            "insert into answers.policy (tenant_id, models, changed_by) values ('{victim}', '{{cheap}}', '{me}')", role="admin"),
    refused("passing another model off as one that is known", "update retrieval.embedder set vectors = vectors"),
    nothing("the key of another", "select * from identity.own_key()", "set local app.context = ''", "select * from identity.own_key()"),
    nothing("being another person than itself", "select 1 where identity.is_second_person('erasure:approve', '{me}', now())", role="privacy"),
    nothing("being another person than itself at any moment", "select 1 where identity.is_second_person('erasure:approve', '{me}')",
            role="privacy"),
    nothing("a second person for an act that is in no table", "select 1 where identity.is_second_person('made:up', '{other_user}', now())"),
    nothing("a second person to nobody", "select 1 where identity.is_second_person('erasure:approve', null, now())"),
    nothing("a second person to what was done at no time",
            "select 1 where identity.is_second_person('erasure:approve', '{other_user}', null)", role="privacy"),
    nothing("vouching for oneself, a colleague without managing users, and somebody of another tenant",
            "select 1 where identity.vouch_for('{me}')", "select 1 where identity.vouch_for('{other_user}')",
            "select 1 where identity.vouch_for('{victim}')"),
    # Fails unless it makes one, so that a user who counts as the attacker is taken back.
    refused("making a user who is a person of its own",
            'with made as (insert into identity."user" (tenant_id, id, username, display_name)'
            " values ('{own}', gen_random_uuid(), 'nobodys', '') returning credentials_of)"
            " select (case when credentials_of = '{me}' then 'counts as its maker' else '1' end)::int from made", role="admin"),
    refused("making a user in another administrator's name",
            'insert into identity."user" (tenant_id, id, username, display_name, credentials_of)'
            " values ('{own}', gen_random_uuid(), 'anothers', '', '{other_user}')", role="admin"),
    nothing("being a second person as a key", "select 1 where identity.is_second_person('erasure:approve', '{other_user}', now())", role="partner"),
    nothing("being a second person as nobody", "set local app.context = ''",
            "select 1 where identity.is_second_person('erasure:approve', '{other_user}', now())"),
    nothing("controlling a colleague", "select 1 where identity.is_controlled('{other_user}')"),
    nothing("controlling another tenant's user", "select 1 where identity.is_controlled('{victim}')"),
    refused("asking for two people's act as a key", f"select identity.ask_jointly('hold:release', {NOBODYS}, '{{{{}}}}', gen_random_uuid())",
            role="partner"),
    # One statement, which fails unless it joins, so that what the attacker may ask for in its own name is taken back.
    refused("being both of the two people who ask",
            "select (case when 'joined' in (one.state, other.state) then '1' else 'one person is not two' end)::int"
            f" from identity.ask_jointly('collection:relax', {NOBODYS}, '{{{{}}}}', gen_random_uuid()) one,"
            f" identity.ask_jointly('collection:relax', {NOBODYS}, '{{{{}}}}', gen_random_uuid()) other", role="admin"),
    nothing("having joined what nobody asked for", f"select 1 where identity.has_joined('collection:relax', {NOBODYS})",
            f"select 1 from identity.joined_changes('collection:relax', {NOBODYS})", role="admin"),
    refused("asking somebody to join what the caller may not do",
            f"select identity.ask_jointly('collection:relax', {NOBODYS}, '{{{{}}}}', gen_random_uuid())"),
    nothing("who acts in another's place", "select 1 where identity.acting_user() <> '{me}'", "set local app.context = ''",
            "select 1 where identity.acting_user() is not null"),
    nothing("who else may act as it", "select 1 where identity.behind_acting_user() <> array['{me}'::uuid]",
            "set local app.context = ''", "select 1 where cardinality(identity.behind_acting_user()) > 0"),
    nothing("another's roles", "select * from identity.roles_of_acting_user() r (role) where r.role <> 'analyst'"),
    nothing("what somebody else may read", "select 1 where identity.read_by_all_behind_it() is not null",
            "select 1 where identity.read_by_who_knows_its_password() is not null"),
    nothing("taking a key over that is its own", "select 1 where identity.hand_over_key('{partner_key}', '{me}')", role="admin"),
    nothing("taking a key over without managing keys", "select 1 where identity.hand_over_key('{partner_key}', '{me}')"),
    nothing("deleting a colleague without managing users", "select 1 where identity.delete_user('{other_user}')"),
    nothing("deleting a colleague who has roles, or itself", "select 1 where identity.delete_user('{other_user}')",
            "select 1 where identity.delete_user('{me}')", role="admin"),
    nothing("deleting another tenant's user", "select 1 where identity.delete_user('{victim}')", role="admin"),
    refused("a password that nobody asked for", "select identity.set_password('x')", role="admin"),
    nothing("whether a colleague may be given a link, without managing users",
            "select 1 where identity.may_be_given_a_link('{other_user}')"),
    nothing("whether another tenant's user may be given a link", "select 1 where identity.may_be_given_a_link('{victim_user}')",
            role="admin"),
    nothing("looking up a one-time link without it", "select * from identity.presented_reset()", role="admin"),
    nothing("a second factor that nobody presents", "select * from identity.presented_second_factor()"),
    nothing("taking a code that nobody showed", "select 1 where identity.take_code(9223372036854775807)",
            "select 1 where identity.take_recovery_code(sha256('x'))"),
    nothing("a second factor for a key", "select 1 where identity.begin_second_factor('x')", role="partner"),
    nothing("confirming a second factor without a code", "select identity.begin_second_factor('x') is null where false",
            "select 1 where identity.confirm_second_factor(1, array[sha256('x')])"),
    nothing("taking second factors away", "select 1 where identity.remove_second_factor('{me}')",
            "select 1 where identity.remove_second_factor('{other_user}')", role="admin"),
    nothing("waiving the second factor alone", "select 1 where identity.require_second_factor(false)", role="admin"),
    nothing("asking for a second factor without managing users", "select 1 where identity.require_second_factor(true)"),
    refused("using up what works once, for nobody", "set local app.context = ''", "select identity.spend(sha256('x'), now())"),
    refused("counting usage for nobody", "set local app.context = ''", "select identity.count_usage('', 'm', 1, 1, 1)"),
    refused("lowering its usage", "select identity.count_usage('', 'lowered', -1, -1, -1)"),
    nothing("reserving from a budget that it has not", "select * from identity.reserve_usage('{me}', 1, 1)",
            "select * from identity.reserve_usage('{me}', -9223372036854775807, null)"),
    nothing("settling what it did not reserve", "select 1 where identity.settle_usage('{victim_event}') is null and false"),
    nothing("ending uploads that are not a day old, or another's", "select * from documents.end_stale_uploads()"),
    nothing("what another tenant's people are called", "select documents.decider_name('{victim_user}') n where documents.decider_name('{victim_user}') is not null"),
    nothing("what people are called who decided nothing", "select documents.decider_name('{me}') n where documents.decider_name('{me}') is not null"),
    nothing("who reads a collection, without managing them", "select * from documents.readers('{restricted}')"),
    nothing("who reads another tenant's collection", "select * from documents.readers('{victim_collection}')", role="admin"),
    nothing("how many answers rest on a document, without deciding on it",
            "select 1 where audit.count_answers_from('{restricted_document}', '00000000-0000-0000-0000-000000000000') > 0"),
    nothing("how many answers rest on another tenant's document",
            "select 1 where audit.count_answers_from('{victim_document}', '00000000-0000-0000-0000-000000000000') > 0", role="approver"),
    refused("a browser's session that stays fresh", "insert into identity.browser_session (tenant_id, digest, session_id, opened_at)"
            " select '{own}', sha256('cookie'), id, now() + interval '1 year' from identity.session where user_id = '{me}' limit 1"),
    nothing("approving what is not there", "select 1 where not documents.is_another_approver('{victim_event}')"),
)  # fmt: skip


# In one block, so that what the attacker may do in its own name is taken back with what it may not.
def at_once(*statements: str) -> str:
    return f"do $do$ begin {'; '.join(statements)}; end $do$"


OWN_SET = "insert into evaluation.question_set (tenant_id, slug, version, questions, created_by) values ('{own}', 'own', 1, '[]', '{me}')"
OWN_RUN = "insert into evaluation.run (tenant_id, id, set_slug, set_version, started_by) values ('{own}', '{own}', 'own', 1, '{me}')"
OWN_RULE = "insert into evaluation.rule (tenant_id, changes_need_approval, unapproved, changed_by) values ('{own}', true, 'tell', '{me}')"

OF_EVALUATION = (
    nothing("being concerned with evaluations as an analyst", "select 1 where evaluation.is_concerned()",
            "select 1 from evaluation.question_set", "select 1 from evaluation.run", "select 1 from evaluation.result"),
    nothing("what another tenant asks of changes", "select 1 where evaluation.relaxes(false, 'tell')",
            "select 1 where evaluation.changes_wait()", role="admin"),
    nothing("having joined that a version ends", f"select 1 where documents.ends_as_joined({NOBODYS}, now(), null, now())",
            role="approver"),
    nothing("having joined what nobody asked of changes", "select 1 where evaluation.is_joined(false, 'tell')", role="admin"),
    nothing("having approved what nobody did", "select 1 where evaluation.has_approved(null, null)", role="approver"),
    nothing("a run that another tenant approved", "select run from evaluation.approved() where run is not null"),
    nothing("what nobody approved", "set local app.context = ''", "select run from evaluation.approved() where run is not null"),
    nothing("keys of reported questions without reviewing", "select * from evaluation.candidate_keys()", role="admin"),
    nothing("keys of what nobody reported", "select * from evaluation.candidate_keys()", role="approver"),
    refused("a version of a set without reviewing", OWN_SET),
    refused("a version of a set in another's name", OWN_SET.replace("'{me}'", NOBODYS), role="approver"),
    refused("approving its own version of a set",
            at_once(OWN_SET, "insert into evaluation.set_approval (tenant_id, slug, version, approved_by) values ('{own}', 'own', 1, '{me}')"),
            role="approver"),
    refused("results that no worker made",
            at_once(OWN_SET, OWN_RUN, "insert into evaluation.result (tenant_id, run_id, pins, results) values ('{own}', '{own}', '{{}}', '[]')"),
            role="approver"),
    refused("approving its own run",
            at_once(OWN_SET, OWN_RUN, "insert into evaluation.run_approval (tenant_id, run_id, approved_by) values ('{own}', '{own}', '{me}')"),
            role="approver"),
    refused("proposing a change without managing collections",
            "insert into evaluation.change (tenant_id, id, proposed_by) values ('{own}', '{own}', '{me}')", role="approver"),
    refused("choosing which models answer as who only approves",
            "insert into answers.policy (tenant_id, models, changed_by) values ('{own}', '{{cheap}}', '{me}')", role="approver"),
    refused("a rule without managing collections", OWN_RULE, role="approver"),
    refused("asking less of changes alone", at_once(OWN_RULE, "update evaluation.rule set changes_need_approval = false"), role="admin"),
    refused("choosing which models answer where changes wait",
            at_once(OWN_RULE, "insert into answers.policy (tenant_id, models, changed_by) values ('{own}', '{{cheap}}', '{me}')"), role="admin"),
    refused("reporting an answer that another got",
            "insert into evaluation.candidate (tenant_id, turn, answer_event, key_id, ciphertext, reported_by)"
            " values ('{own}', '{own}', '{own}', '{own}', 'x', '{me}')"),
    refused("changing what was found", "update evaluation.result set results = '[]'", role="approver"),
    refused("taking an approval back", "delete from evaluation.run_approval", role="approver"),
)  # fmt: skip

# Those that say who is calling and what that caller sees. `{}` is the call.
SAYING_WHO = (
    "tenancy.tenant_id()", "tenancy.principal_id()", "tenancy.subject_id()", "tenancy.request_id()", "tenancy.known_at()",
    "tenancy.presented('digest')", "nullif(tenancy.has_permission('documents:read'), false)", "nullif(tenancy.permissions(), '{{}}')",
    "nullif(tenancy.readable_collections(), '{{}}')", "nullif(tenancy.writable_collections(), '{{}}')",
    "nullif(documents.visible_collections(), '{{}}')", "nullif(documents.versions_known_in_force(), '{{}}')",
    "nullif(documents.sees_drafts(), false)", "nullif(documents.sees_unapproved(), false)",
    "nullif(documents.latest_start(), now())", "nullif(documents.earliest_end(), now())", "nullif(tenancy.moment(), now())",
)  # fmt: skip

OF_THE_POLICIES = (
    *(nothing(f"{call} without a context", "set local app.context = ''", f"select 1 where {call} is not null") for call in SAYING_WHO),
    *(refused(f"{call} under a forged context", f"set local app.context = {FORGED.replace('$c$', chr(39))}", f"select {call}")
      for call in SAYING_WHO),
    nothing("claims of its own for what is seen",
            "select * from documents.chunk where documents.sees_every_state('{{\"permissions\": [\"documents:review\"]}}')"
            " and (tenant_id <> '{own}' or collection_id = '{restricted}' or effective_from >= effective_to)"),
    nothing("whether another tenant erases", "select 1 where audit.may_erase('{victim}', '{data_key}')", role="privacy"),
    nothing("how long another tenant's event is kept", "select 1 where audit.retained_until('{victim}', '{victim_event}') is not null",
            role="compliance"),
    nothing("how long an event is kept that it may not read", "select 1 where audit.retained_until('{own}', '{own_event}') is not null"),
    refused("a text before the earliest that this transaction may add",
            "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext)"
            " select '{own}', '{earlier_event}', 'planted', '{data_key}', '' where '{earlier_event}' < audit.earliest_id()"),
)  # fmt: skip

FUNCTIONS = (*GIVEN_A_CONTEXT, *AS_THE_OWNER, *OF_WEBHOOKS, *OF_SOURCES, *OF_PEOPLE, *OF_EVALUATION, *OF_THE_POLICIES)

-- The audit log. Append-only: nobody may update, delete or truncate, and triggers that always fire refuse it as well.
alter table audit.event enable row level security, force row level security;

-- An event is written only in the name of the verified caller and for the request at hand.
create policy own_name on audit.event for insert to affidavit_runtime
  with check ((tenant_id, coalesce(principal_id::text, ''), request_id) = (select (c ->> 'tenant')::uuid,
    coalesce(c ->> 'principal', ''), c ->> 'request' from tenancy.context() c));
-- A caller with audit:read reads the log of its tenant.
create policy reviewed on audit.event for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The sealer reads the envelopes of all tenants: it hashes them, and they hold no text of anyone.
create policy sealed on audit.event for select to affidavit_sealer using (true);
-- The operator's own acts are events too.
create policy operator on audit.event for insert to affidavit_owner with check (principal_id is null);
-- The owner counts what may leave for an archive, which nothing younger than a year does, whatever the settings say.
create policy archived on audit.event for select to affidavit_owner
  using (id < (select audit.first_id_at(now() - interval '1 year')));
-- The owner looks for the events that account for archives.
create policy archivings on audit.event for select to affidavit_owner using (action = 'audit:archived');
-- The owner's function indexes an event by the documents and words that the event's own transaction named.
create policy indexed on audit.event for select to affidavit_owner
  using (exists (select from audit.unindexed u where u.tenant_id = event.tenant_id and u.event_id = event.id));
create policy operated on audit.event for insert to affidavit_operator
  with check (principal_id is null and envelope::jsonb #>> '{principal,kind}' = 'operator');
-- The owner's functions tell the worker that has an endpoint of webhooks events of that tenant.
create policy told on audit.event for select to affidavit_owner
  using (tenant_id = (select tenancy.tenant_id()) and (select webhooks.leased_endpoint()) is not null);

grant insert (id, envelope) on audit.event to affidavit_operator;
grant insert (id, envelope) on audit.event to affidavit_runtime;
grant select (tenant_id, id, envelope, occurred_at, action, outcome, principal_id, request_id, turn, model, end_user, conversation)
  on audit.event to affidavit_runtime;
grant select on audit.event to affidavit_sealer;
revoke update, delete, truncate, references, trigger on audit.event from affidavit_owner;
-- Not granted: select of xid, whose index spans tenants; anything on the partitions; update, delete, truncate to anyone.

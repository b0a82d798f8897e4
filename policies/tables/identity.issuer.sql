-- The OpenID providers that tenants trust.
alter table identity.issuer enable row level security, force row level security;

-- The operator says whom a tenant trusts, at the command line: whoever could say so over the network could sign in as anyone.
create policy operator on identity.issuer to affidavit_owner using (true) with check (true);

-- Not granted: anything on the table, whose index of issuers spans tenants.

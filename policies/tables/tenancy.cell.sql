-- The name of this cell, where there are several.
alter table tenancy.cell enable row level security, force row level security;

-- The operator names the cell once; functions of the owner tell it.
create policy owner on tenancy.cell to affidavit_owner using (true) with check (true);

-- Not granted: anything, to anyone. A process that is pinned to a cell asks tenancy.cell_name().

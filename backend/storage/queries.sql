-- name: data_key
-- The tenant's wrapped key.
select id, wrapped from storage.own_data_key()

-- name: add_data_key
-- The tenant's key, unless another transaction was first.
insert into storage.data_key (tenant_id, id, wrapped) values ($1, $2, $3) on conflict (tenant_id) do nothing

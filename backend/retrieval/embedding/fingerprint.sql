-- name: remember
-- Keeps the first fingerprint of a model.
insert into retrieval.embedder (model, dimensions, vectors) values ($1, $2, $3) on conflict (model) do nothing

-- name: fingerprint
-- What a model made of the probes at first.
select dimensions, vectors from retrieval.embedder where model = $1

"""Where small tenants end and large ones begin."""

# Chunks from which indexes of its own are cheaper for a tenant than comparing all: `make bench-scale` measures it.
CROSSOVER = 12_000

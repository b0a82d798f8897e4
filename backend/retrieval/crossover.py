"""The size at which a tenant is better off with indexes of its own, by itself: commands say it, and need no model for that."""

# Chunks from which indexes of its own are cheaper for a tenant than comparing all: `make bench-scale` measures it.
CROSSOVER = 12_000

"""Whether a sentence of an answer is supported by the passages it cites, how, and if not, why not."""

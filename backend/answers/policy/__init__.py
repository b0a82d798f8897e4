"""What a tenant lets answer its questions: which models, in which order, and how sure a sentence must be."""

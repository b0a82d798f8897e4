"""Word documents (Office Open XML, transitional and strict)."""

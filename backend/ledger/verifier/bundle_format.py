"""Names and limits of bundles."""

SCHEMA, SCHEMA_OF_SIGNED = "affidavit-bundle/2", "affidavit-bundle/1"
"""Of bundles with proven checkpoints, and of those in which every checkpoint is signed, which version 0.1.0 reads."""
MANIFEST, CHECKPOINTS, EVENTS, ERASURES = ("manifest.json", "checkpoints.ndjson", "events.ndjson", "erasures.ndjson")
DECLARATIONS, UNSEALED, HANDOVERS = "declarations.ndjson", "unsealed.ndjson", "handovers.ndjson"

TOLERANCE = 120_000
"""Milliseconds by which a time may contradict the order of the log: open transactions and unequal clocks."""
TURN_LIMIT = 300_000
"""Milliseconds that an answer may take; a prompt this old when the export ends ought to have one."""
ARCHIVED_AFTER = 365 * 86_400_000
"""Milliseconds for which every event is kept in the log: what is younger cannot have left for an archive."""

MAX_LINE_BYTES = 8 * 2**20
MAX_MANIFEST_BYTES = 2**20

MAX_RATIO, RATIO_APPLIES_FROM = 200, 2**30  # A bomb costs time, not memory: members are streams.
MAX_HANDOVERS = 100  # Of keys; a key that is exchanged each month takes its place in eight years.
MAX_SHOWN = 1000  # Findings of one kind; more are counted, not listed.
MAX_TRACKED = 5_000_000  # Ids, open turns or erased payloads held in memory at once.
MAX_READ_BYTES = 2**23  # At once, of the archive file.


class BadBundle(Exception):
    """The bundle cannot be read any further."""

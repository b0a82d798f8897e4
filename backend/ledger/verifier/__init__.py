"""Verifies an exported audit log offline: `python verifier.py BUNDLE --key PUBKEY`.

`affidavit audit verifier` writes this package as one file, on purpose: whoever is handed that can read it and run it, with
Python 3.11 and the `cryptography` package and nothing of the service that made the export. It trusts only the public key, and the
checkpoints that a reviewer kept (`--checkpoints`), which alone can tell a rewritten history from the true one
if the signing key was stolen.

A bundle is a zip archive of these members, each stored (which verifies fastest) or deflated. JSON is UTF-8 without floats;
every line ends in a newline; hashes are lowercase hexadecimal; times are RFC 3339, UTC, with six decimals and `Z`.

manifest.json     what the export says of itself, one object with exactly these members:
  schema          "affidavit-bundle/2"; "affidavit-bundle/1" where every checkpoint is a signed note
  tenant          the tenant's id
  complete        true: every leaf from first_leaf to end_leaf is here; false: only events that match `filters`
  revealed        true: every payload is here or marked as erased; false: payloads may be left out
  from, to        the period that was asked for
  filters         an object, empty when complete
  first_leaf      index of the first leaf; when complete and not 0, the size of the first checkpoint
  end_leaf        index after the last leaf; when complete, the size of a checkpoint
  frontier        when complete: the roots of the perfect subtrees before first_leaf, largest first; else []
  events          number of lines of events.ndjson

checkpoints.ndjson, oldest first, one line each
  {"checkpoint": C}                        C: a signed note (C2SP tlog-checkpoint with a line `time <Unix ms>`), or a proof
  {"checkpoint": C, "consistency": [h…]}   with the RFC 6962 proof from the checkpoint of the line before; needed
                                           unless both sizes lie within the leaves of a complete export
    ,"extends": [h…]                       where C is a proof: the RFC 6962 proof that its log of all checkpoints extends what
                                           that was at the last line before with the same line `log`; needed for the log that
                                           proves the last line, which is that of the cell that made the export
  The first is the newest signed no later than `from` (unless first_leaf is 0); the last cover all events.
  A proof is the text of such a note without signatures, an empty line, and a C2SP tlog-proof of this text in the log of the
  origin NAME/checkpoints, whose signed checkpoint has the same time. That log holds the checkpoints of all tenants. A line
  `nonce <base64>` in each keeps who knows a leaf's hash from guessing what it says. Its own line `log <base64>` is the hash of
  its first leaf, by which it differs from the logs of other cells.

events.ndjson, in the order of the log, one line each, members in this order and no spaces between them
  {"leaf":N,"envelope":E}                  E: the sealed text itself, whose UTF-8 bytes are the leaf
    ,"payloads":[P…]                       P: {"name","salt","text"} with salt in base64, or {"name","erased":true}
    ,"proof":[h…]                          inclusion in the first checkpoint here that covers N; unless complete
    ,"hash":h                              the hash that was sealed, if E no longer has it
  {"leaf":N,"hash":h}                      a sealed leaf whose event is gone

erasures.ndjson (may be absent): lines as above, of `erasure:executed` and `audit:archived` events outside the
  exported ones, which account for payloads erased and leaves archived; their proofs lead to the last checkpoint.

declarations.ndjson (may be absent), one line each: {"declaration": D}. D: a signed note like a checkpoint, of the origin
  NAME/restored/TENANT, with what was left of the log in a restored database, and two more lines: `lost <leaves> <root>
  <Unix ms>`, the newest checkpoint that was lost, and `reason <text>`. Kept checkpoints of what was lost are then no fork.

handovers.ndjson (may be absent), one line each: {"handover": H}. H: a signed note like a checkpoint, of the origin NAME/keys,
  with the number of keys, the SHA-256 of their lines, the time, and a line `key <verifier key>` for each, oldest first. All
  of them sign it. Whoever trusts one of them trusts the one before it until that time, and the one after it since.

unsealed.ndjson (may be absent), one line each: {"envelope": E}, events of the period that were in no leaf when the
  export was made.

Members of an envelope that are read: id (UUID version 7), tenant, action, time; turn, which ties a
`prompt:submitted` to its `answer:*`; payloads, {name: {"commitment": hex HMAC-SHA-256(salt, text), "bytes": n}};
erased, [{"event": id, "payloads": [name…]}], in an `erasure:executed`; archive, {"first_leaf", "end_leaf", "sha256"
of the bundle that holds these leaves, "month"}, in an `audit:archived`.

Kept checkpoints (`--checkpoints`) are signed notes, proofs, and rounds: all checkpoints that were sealed at once, an empty line
between two, then the lines `affidavit-round@v1`, `first <leaf>` and the frontier of the log of all checkpoints before that leaf,
largest first, and its signed checkpoint, in which they are the last leaves. The operator of several cells has a log of their
logs, of the origin NAME/cells-checkpoints, signed with a key of its own. A proof of that log tells what a cell's log of all
checkpoints was: it is the text of that checkpoint, with a line `cell NAME`, and is compared with what the bundle says of it.

Several bundles are verified together: the parts of one export, or an export and the archives that it points to.
"""

from backend.ledger.verifier.archive import notes_in
from backend.ledger.verifier.bundle_format import (
    CHECKPOINTS,
    DECLARATIONS,
    ERASURES,
    EVENTS,
    HANDOVERS,
    MANIFEST,
    MAX_LINE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_RATIO,
    MAX_SHOWN,
    RATIO_APPLIES_FROM,
    SCHEMA,
    SCHEMA_OF_SIGNED,
    UNSEALED,
)
from backend.ledger.verifier.command import NotReadable, ProgressBar, main, report_on
from backend.ledger.verifier.entries import parse_entry
from backend.ledger.verifier.findings import CONVICTING, Finding, Kind, Report
from backend.ledger.verifier.plain import plain_events
from backend.ledger.verifier.proven import PROOF, ROUND, OpenedText, open_checkpoint, open_text
from backend.ledger.verifier.signed_notes import Keys, OpenedCheckpoint, open_declaration
from backend.ledger.verifier.together import verify_together
from backend.ledger.verifier.tree import Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion
from backend.ledger.verifier.verification import Verification, verify

__all__ = [
    "CHECKPOINTS", "CONVICTING", "DECLARATIONS", "ERASURES", "EVENTS", "HANDOVERS", "MANIFEST", "MAX_LINE_BYTES",
    "MAX_MANIFEST_BYTES", "MAX_RATIO", "MAX_SHOWN", "PROOF", "RATIO_APPLIES_FROM", "ROUND", "SCHEMA", "SCHEMA_OF_SIGNED",
    "UNSEALED", "Finding", "Keys", "Kind", "NotReadable", "OpenedCheckpoint", "OpenedText", "ProgressBar", "Report",
    "Tree", "Verification", "leaf_hash", "main", "node_hash", "notes_in", "open_checkpoint", "open_declaration",
    "open_text", "parse_entry", "plain_events", "report_on", "verify", "verify_consistency", "verify_inclusion",
    "verify_together",
]  # fmt: skip

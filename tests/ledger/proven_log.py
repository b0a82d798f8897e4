"""A small log whose checkpoints are not signed by themselves, but proven by the log of all checkpoints, as the service seals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from backend.ledger.checkpoints import Checkpoint, SigningKey, log_origin
from backend.ledger.merkle import Frontier
from backend.ledger.rounds import GrowingLog, head_of, hidden, log_of_all, proven, signed_round, whole_round
from tests.ledger.rfc9162 import consistency_proof
from tests.ledger.small_log import KEY, SmallLog, example_log

OTHERS = [str(UUID(int=number)) for number in range(2, 7)]


@dataclass(frozen=True)
class Round:
    """What one sealing made: each checkpoint with its proof, the round as a whole, and the signed checkpoint of all."""

    proven: Sequence[str]
    whole: str
    signed: str


@dataclass
class AllLogs:
    """The log of all checkpoints; `rounds` are those that were sealed."""

    key: SigningKey = KEY
    name: str = "checkpoints"
    first: bytes | None = b"f" * 32
    log: GrowingLog = field(default_factory=lambda: GrowingLog(Frontier()))
    rounds: list[Round] = field(default_factory=list)

    def seal(self, *texts: str, time: int) -> Round:
        """Seals the texts of checkpoints as the newest leaves."""
        before = Frontier(self.log.frontier.size, list(self.log.frontier.hashes))
        leaves = [self.log.append(UUID(int=0), text.encode()) for text in texts]
        note = self.signed(time)
        proofs = [proven(text, leaf, self.log.proof(leaf), note) for text, leaf in zip(texts, leaves, strict=True)]
        self.rounds.append(Round(proofs, whole_round(texts, before, note), note))
        return self.rounds[-1]

    def extends(self, before: str, note: str) -> list[bytes] | None:
        """Returns the proof that this log, as it proves a note, extends what it was at the note before."""
        first, second = (log_of_all(each) or ("", 0) for each in (before, note))
        if first[0] != second[0] or not 0 < first[1] < second[1] <= self.log.frontier.size:
            return None
        nodes = {(node.level, node.position): node.hash for node in self.log.nodes}
        nodes |= {(0, index): leaf for index, _, leaf in self.log.leaves}
        return consistency_proof(first[1], second[1], lambda *place: nodes[place])

    def signed(self, time: int) -> str:
        """Returns the signed checkpoint of what there is; these logs begin alike, as that of one service does."""
        origin = log_origin(self.key.name, self.name)
        checkpoint = Checkpoint(origin, self.log.frontier.size, self.log.frontier.root(), time)
        return signed_round(checkpoint, self.first, self.key)


def foreign(tenant: str, time: int, size: int = 3) -> Checkpoint:
    """Returns a checkpoint of another tenant's log."""
    return Checkpoint(log_origin(KEY.name, tenant), size, bytes(32), time)


def proven_log(all_logs: AllLogs | None = None) -> tuple[SmallLog, AllLogs]:
    """Returns the example log, each checkpoint of which is proven among those of other tenants."""
    log, all_logs = example_log(), all_logs or AllLogs()
    log.extends = all_logs.extends
    for place, (size, note) in enumerate(log.notes):
        own = head_of(note)
        others = [hidden(foreign(tenant, own.time)) for tenant in OTHERS[: place + 2]]
        sealed = all_logs.seal(*others[:1], hidden(own), *others[1:], time=own.time)
        log.notes[place] = (size, sealed.proven[1])
    return log, all_logs

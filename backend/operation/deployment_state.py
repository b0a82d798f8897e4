"""What goes on in the deployment, as the operator may know it: of all tenants together."""

import math

from backend.database import Connection, Queries
from backend.operation.models import DeploymentState, JobCount, SealingState

queries = Queries.beside(__file__)


async def state(connection: Connection) -> DeploymentState:
    """Returns how sealing and jobs go, as the operator's role sees it."""
    log = await connection.fetchrow(queries.measured_log)
    assert log is not None
    sealing = SealingState(
        waiting=log["events"], oldest_seconds=log["lag"], idle_seconds=log["idle"], halted=bool(log["halted"]),
        checkpoint_seconds=None if math.isnan(log["checkpoint_age"]) else log["checkpoint_age"],
    )  # fmt: skip
    counted = [
        JobCount(kind=row["kind"], status=row["band"], number=row["number"], oldest_seconds=row["oldest"])
        for row in await connection.fetch(queries.measured_totals)
        if row["kind"] is not None
    ]
    return DeploymentState(sealing=sealing, jobs=sorted(counted, key=lambda job: (job.kind, job.status)))

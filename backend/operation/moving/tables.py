"""Which tables hold what is a tenant's: read from PostgreSQL's catalogue, so that no table can be forgotten."""

from dataclasses import dataclass
from uuid import UUID

from backend.database import Connection, Queries
from backend.operation.service import OperatorError
from backend.policies import SCHEMAS

queries = Queries.beside(__file__)

TENANTS = "tenancy.tenant"
# Tables with a tenant that say something of the cell and not of the tenant.
OF_THE_CELL = {
    "tenancy.residence": "says which cell a tenant is at home in",
    "retrieval.placement": "says in which of this cell's partitions its chunks are",
}


@dataclass(frozen=True, slots=True)
class MovedTable:
    """A table, and the column that names the tenant."""

    name: str
    column: str = "tenant_id"

    def published(self, tenant_id: UUID) -> str:
        """Returns the table as a publication names it; names come from the catalogue, quoted by it."""
        return f"{self.name} where ({self.column} = '{tenant_id}')"


async def moved_tables(source: Connection, target: Connection) -> list[MovedTable]:
    """Returns every table that moves with a tenant; raises OperatorError where one cannot.

    A table whose key is only that of its partitions moves partition by partition, as far as both cells have them.
    """
    moved = [MovedTable(TENANTS, "id")]
    for table in await source.fetch(queries.tables, list(SCHEMAS)):
        if not table["of_tenants"] or table["name"] in OF_THE_CELL:
            continue
        if table["by_partition"]:
            there = {row["name"] for row in await target.fetch(queries.partitions, table["name"])}
            here = [row["name"] for row in await source.fetch(queries.partitions, table["name"])]
            moved += [MovedTable(name) for name in here if name in there]
        elif table["keyed"]:
            moved.append(MovedTable(table["name"]))
        else:
            raise OperatorError(f"the key of {table['name']} does not name the tenant, so its rows cannot move")
    return moved

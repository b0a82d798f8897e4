"""Statements by which SQL of a caller could learn a value in a row that it may not see, made from parts.

A condition asks whether the row holds a value; a tell makes an answer heard, by an error or by a sub-select that `EXPLAIN
ANALYZE` then shows as executed or not; a shape is the statement around both; a setting is what moves the planner's order.
In them, `{c}` is the column, `{v}` a literal of its type, `{t}` the table and `{w}` the whole condition.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

# What PostgreSQL believes to leak nothing, since it does not look at what is done to the elements: the error repeats the value.
REPEATED = (
    "(array[{c}]::{kind}[])::text[]::macaddr[] is not null",
    "(array[case when {c} = {v} then {c} end]::{kind}[])::text[]::macaddr[] is not null",
)
COMPARED = (
    "{c} = {v}",
    "{c} >= {v} and {c} <= {v}",
    "{c} = any (array[{v}])",
    "not ({c} <> all (array[{v}]))",
    "({c}, {c}) >= ({v}, {v}) and ({c}, {c}) <= ({v}, {v})",
    "row({c}, 1) = row({v}, 1)",
    "nullif({c}, {v}) is null",
    "{c} is not distinct from {v}",
    "case {c} when {v} then true else false end",
    "coalesce({c} = {v}, false)",
    "({c} = {v}) is true",
    "least({c}, {v}) = {v} and greatest({c}, {v}) = {v}",
    "{c} in (select {v} offset 0)",
    "array[{c}] = array[{v}]",
    *REPEATED,
)
EQUAL_ONLY = (
    "{c} = {v}",
    "not ({c} <> {v})",
    "{c} is not distinct from {v}",
    "{c} = any (array[{v}])",
    "case {c} when {v} then true else false end",
    *REPEATED,
)
OF_TYPE = {
    "text": ("starts_with({c}, {v})", "md5({c}) = md5({v})", "{c} like {v}", "{c} ~ ('^' || {v})", "length({c}) = length({v})"),
    "bytea": ("sha256({c}) = sha256({v})", "substr({c}, 1, 1) = substr({v}, 1, 1)"),
    "uuid": ("uuid_extract_timestamp({c}) = uuid_extract_timestamp({v})", "{c}::text = {v}::text"),
    "integer": ("{c}::bigint = {v}::bigint", "int8({c}) <= int8({v}) and int8({c}) >= int8({v})"),
    "jsonb": ("{c} @> {v}", "{c}::text = {v}::text"),
    "text[]": ("{c} @> {v}", "cardinality({c}) = cardinality({v})"),
}  # fmt: skip

_RAISED = "(select {v} from generate_series(1, 1) having 1 / (count(*) - 1) > 0)"
_RAISED_TRUE = "(select true from generate_series(1, 1) having 1 / (count(*) - 1) > 0)"
_SHOWN = "(select {v} from generate_series(1, 1) having count(*) > 5)"
_SHOWN_TRUE = "(select true from generate_series(1, 1) having count(*) = 1)"
TELLS = (
    f"({{cond}}) and {{c}} <> {_RAISED}",
    f"({{cond}}) and {{c}} <> {_SHOWN}",
    f"({{cond}}) and {{c}} <> all (array[{_RAISED}])",
    f"case when {{cond}} then {_RAISED_TRUE} else true end",
    f"case when {{cond}} then {_SHOWN_TRUE} end",
    f"(not ({{cond}}) or {_RAISED_TRUE})",
    f"(({{cond}}) and {{c}} is distinct from {_SHOWN})",
    f"coalesce(nullif({{cond}}, true), {_RAISED_TRUE})",
    "({cond}) and exists (select from generate_series(1, 1) g where 1 / (g - 1) > 0 and {c} is not null)",
    "({cond})",
)

NARROWED = (
    "",
    "tenant_id >= {tenant} and tenant_id <= {tenant} and ",
    "tenant_id = {tenant} and ",
    "tenant_id = any (array[{tenant}]) and ",
)

SHAPES = (
    "select 1 from {t} where {w}",
    "select 1 from {t} tablesample system (100) where {w}",
    "select 1 from {t} tablesample bernoulli (100) repeatable (1) where {w}",
    "select count(*) filter (where {w}) from {t}",
    "select case when {w} then 1 end from {t}",
    "select array(select 1 from {t} where {w})",
    "select 1 from generate_series(1, 2) g join {t} on {w}",
    "select 1 from generate_series(1, 2) g left join {t} on {w}",
    "select 1 from (values ({v})) x (y) cross join lateral (select 1 from {t} where {c} = x.y and {w} limit 1) z",
    "select 1 from (select {v} as y offset 0) x join {t} on {c} = x.y and {w}",
    "select 1 where exists (select from {t} where {w})",
    "select 1 where not exists (select from {t} where {w})",
    "select 1 where {v} in (select {c} from {t} where {w})",
    "select sum(1) filter (where {w}) over (partition by {c}) from {t}",
    "select 1 from {t} where {w} union all select 2 from {t} where {w}",
    "select {c} from {t} where {w} except select {v}",
    "select {c} from {t} where {w} order by {c} limit 1",
    "select 1 from {t} group by {c} having {w}",
    "select distinct {c} from {t} where {w}",
    "with x as materialized (select 1 from {t} where {w}) select * from x",
    "with x as not materialized (select * from (select 1 from {t} where {w}) y) select * from x",
    "select 1 from {t} where {w} for key share",
    "delete from {t} where {w}",
    "cursor: select 1 from {t} where {w}",
    "prepared: select 1 from {t} where {w}",
)  # fmt: skip

SETTINGS = (
    "",
    "cpu_operator_cost = 0",
    "cpu_operator_cost = 1e-300",
    "cpu_operator_cost = 5e-324",
    "cpu_operator_cost = 1e10",
    "cpu_operator_cost = 1e308",
    "enable_seqscan = off",
    "enable_indexscan = off; set local enable_indexonlyscan = off",
    "enable_seqscan = off; set local enable_indexscan = off; set local enable_indexonlyscan = off",
    "plan_cache_mode = force_generic_plan",
    "jit = on; set local jit_above_cost = 0",
    "parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0;"
    " set local debug_parallel_query = on",
    "enable_nestloop = off",
    "join_collapse_limit = 1; set local from_collapse_limit = 1; set local constraint_exclusion = on",
    "transform_null_equals = on",
)


@dataclass(frozen=True)
class Column:
    """A column that may be selected, and a value of it as a literal."""

    table: str
    name: str
    kind: str
    literal: str
    tenant: str  # of the hidden row, as a literal


@dataclass(frozen=True)
class Oracle:
    """One statement under one setting."""

    column: Column
    shape: str
    condition: str
    setting: str

    def statement(self) -> str:
        where = self.condition
        return _fill(self.shape.replace("{w}", where), self.column)

    def __str__(self) -> str:
        return f"{self.column.table}.{self.column.name} [{self.setting or 'as set'}]: {self.statement()}"


def _fill(text: str, column: Column) -> str:
    return (
        text.replace("{t}", column.table).replace("{c}", column.name).replace("{kind}", column.kind)
        .replace("{v}", column.literal).replace("{tenant}", column.tenant)
    )  # fmt: skip


def conditions(kind: str) -> tuple[str, ...]:
    """Returns what can be asked of a column of a type."""
    if kind.endswith("[]") or kind in {"boolean", "xid8", "halfvec", "sparsevec"}:
        return (*EQUAL_ONLY, *OF_TYPE.get(kind, ()))
    return (*COMPARED, *OF_TYPE.get(kind, ()))


def _told(tell: str, narrowing: str, condition: str) -> str:
    return narrowing + tell.replace("{cond}", condition)


# What was found by hand, of each kind.
FOUND = (
    ("{c} >= {v} and {c} <= {v}", TELLS[0]),
    ("case {c} when {v} then true else false end", TELLS[3]),
    (REPEATED[0], TELLS[-1]),
)


def sample(column: Column, number: int, chance: random.Random) -> Iterator[Oracle]:
    """Yields the statements that were found by hand, and others whose parts are drawn at random, so that all parts meet in time."""
    asked = conditions(column.kind)
    for condition, tell in FOUND:
        if condition in asked:
            yield Oracle(column, SHAPES[1], _told(tell, NARROWED[0], condition), "")
    for _ in range(number):
        condition = _told(chance.choice(TELLS), chance.choice(NARROWED), chance.choice(asked))
        yield Oracle(column, chance.choice(SHAPES), condition, chance.choice(SETTINGS))


def each_part(column: Column) -> Iterator[tuple[Oracle, tuple[str, ...]]]:
    """Yields statements of which each part is once beside what was found by hand, with the parts that they are of."""
    usual, raised = FOUND[0]
    shapes, narrowings = SHAPES[:2], NARROWED[::2]
    wanted = [
        *((shape, tell, usual, narrowing, "") for shape in SHAPES for tell in (raised, TELLS[3]) for narrowing in narrowings),
        *((shape, tell, usual, narrowing, "") for shape in shapes for narrowing in narrowings for tell in TELLS),
        *((shape, tell, condition, narrowing, "") for shape in shapes for narrowing in narrowings for tell in (raised, TELLS[3])
          for condition in conditions(column.kind)),
        *((shape, raised, usual, narrowing, setting) for shape in shapes for narrowing in NARROWED for setting in SETTINGS),
    ]  # fmt: skip
    for shape, tell, condition, narrowing, setting in dict.fromkeys(wanted):
        oracle = Oracle(column, shape, _told(tell, narrowing, condition), setting)
        yield oracle, (shape, tell, condition, narrowing, setting)


_COUNTED = re.compile(r"Rows Removed|Heap Fetches|Index Searches|Heap Blocks|Bitmap Index Scan.*actual")


@dataclass(frozen=True)
class Observation:
    """What a caller sees of a statement: the error, or which parts ran and how many rows came; and apart, what was counted.

    An index also counts entries of rows that are gone, and of own rows that a caller may not see.
    """

    shown: tuple[str, ...]
    counted: tuple[str, ...] = ()

    @classmethod
    def of_plan(cls, lines: list[str]) -> "Observation":
        """Reads the lines of EXPLAIN ANALYZE. Those that repeat the statement's conditions say nothing."""
        counted = tuple(line for line in lines if _COUNTED.search(line))
        ran = tuple(line for line in lines if "(actual " in line or "(never executed)" in line)
        return cls(tuple(line for line in ran if line not in counted), counted)

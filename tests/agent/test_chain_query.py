"""Typed queries: checked when made, the same after JSON and after words, and right against plain Python."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.onchain import sql_compiler, verbalize
from agent.onchain.lexer import Known
from agent.onchain.parser import read
from agent.onchain.query import All, Any, ChainQuery, Compare, Condition, Not

KNOWN = Known("eip155:1", 100, 109)
COLUMNS = ("nonce", "gas_used", "gas", "logs", "status")
NUMBERS = ("nonce", "gas_used", "gas_limit", "logs")

compared = st.builds(
    lambda column, operator, value: Compare(column=column, operator=operator, values=(str(value),)),
    st.sampled_from(NUMBERS),
    st.sampled_from(("=", "<", "<=", ">", ">=")),
    st.integers(0, 9),
)
stated = st.sampled_from((Compare(column="status", values=("0",)), Compare(column="status", values=("1",))))
atoms = st.one_of(compared, stated)
denied = st.builds(lambda one: Not(negated=one), atoms.filter(lambda one: one.operator == "="))
conditions = st.lists(st.one_of(atoms, denied), max_size=3, unique=True).map(
    lambda some: All(all=tuple(some))
)
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda one: Not(negated=one), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: All(all=tuple(some))),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: Any(any=tuple(some))),
    ),
    max_leaves=6,
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "nonce": st.integers(0, 9),
            "gas_used": st.integers(0, 9),
            "gas": st.integers(0, 9),
            "logs": st.integers(0, 9),
            "status": st.one_of(st.none(), st.integers(0, 1)),
        }
    ),
    max_size=8,
)


def holds(one: Condition, row: dict[str, int | None]) -> bool:
    """What a condition says of a row, in plain Python."""
    if isinstance(one, Not):
        return not holds(one.negated, row)
    if isinstance(one, All):
        return all(holds(part, row) for part in one.all)
    if isinstance(one, Any):
        return any(holds(part, row) for part in one.any)
    assert isinstance(one, Compare)
    found, wanted = row[{"gas_limit": "gas"}.get(one.column, one.column)], int(one.values[0])
    if found is None:
        return False
    signs = {"=": found == wanted, "<": found < wanted, "<=": found <= wanted, ">": found > wanted}
    return signs.get(one.operator, found >= wanted)


@settings(max_examples=60)
@given(trees, rows)
def test_a_condition_keeps_the_rows_that_plain_python_keeps(tree, table):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (nonce INT, gas_used INT, gas INT, logs INT, status INT)")
        if table:
            connection.executemany(
                "INSERT INTO t VALUES (?, ?, ?, ?, ?)", [[row[name] for name in COLUMNS] for row in table]
            )
        where = sql_compiler.condition(tree, "transactions")
        [found] = connection.execute(f"SELECT count(*) FROM t WHERE {where}").fetchone() or (None,)  # noqa: S608
    assert found == sum(holds(tree, row) for row in table)


@settings(max_examples=150)
@given(conditions, st.sampled_from((((100, 100),), ((101, 105),), ((100, 100), (103, 103)))))
def test_a_query_in_words_is_read_as_the_same_query(where, blocks):
    query = ChainQuery(subject="transactions", where=where, blocks=blocks)
    said = f"number of {verbalize.rows(query, {})}"
    reading = read(said, KNOWN, lambda _: "")
    assert reading is not None
    [one] = reading.queries
    assert sql_compiler.counting(one.query) == sql_compiler.counting(
        query.model_copy(update={"where": where.all[0] if len(where.all) == 1 else where})
    ), said


@settings(max_examples=60)
@given(trees)
def test_a_query_is_the_same_after_json(tree):
    query = ChainQuery(subject="transactions", where=tree, measure="sum", column="fee")
    assert ChainQuery.model_validate_json(query.model_dump_json()) == query


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"subject": "transactions", "column": "colour", "measure": "sum"}, "no column 'colour'"),
        (
            {"subject": "transactions", "column": "from_address", "measure": "sum"},
            "needs a column of numbers",
        ),
        ({"subject": "blocks", "where": {"column": "nonce", "values": ["1"]}}, "no column 'nonce'"),
        (
            {"subject": "transactions", "where": {"column": "nonce", "values": ["1 OR true"]}},
            "'nonce' is a number",
        ),
        (
            {"subject": "transactions", "where": {"column": "status", "operator": ">", "values": ["0"]}},
            "no order",
        ),
        ({"subject": "transactions", "where": {"column": "value", "other": "nonce"}}, "cannot be compared"),
        ({"subject": "blocks", "blocks": [[5, 3]]}, "ends before it begins"),
        ({"subject": "logs", "measure": "distinct"}, "need a column"),
    ],
)
def test_a_query_that_cannot_be_is_refused(fields, told):
    with pytest.raises(ValidationError, match=told):
        ChainQuery.model_validate(fields)

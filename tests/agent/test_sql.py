"""SQL over a library: exact, bounded, and nothing but reading."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answerers.tools import Desk, tools
from agent.onchain import sandbox
from agent.onchain.sandbox import Limits, query
from agent.onchain.sandbox_worker import Refused, checked
from agent.requests.context import Evidence
from index.errors import SettingsError, SourceError
from index.library import Library
from index.values import Filters, Kind, Reading, SourceRef
from tests.agent import chain

HOSTILE = [
    "DROP VIEW events",
    "DELETE FROM events",
    "INSERT INTO events SELECT * FROM events",
    "UPDATE events SET event = 'x'",
    "CREATE TABLE mine AS SELECT * FROM events",
    "CREATE TEMP VIEW events AS SELECT 1",
    "WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO tokens (symbol) VALUES ('x') RETURNING *) SELECT * FROM new",
    "SELECT count(*) FROM events; DROP VIEW events",
    "SELECT count(*) FROM events; SELECT 1",
    "/* only */ -- reading\nDROP VIEW events",
    "COPY events TO '{place}'",
    "COPY (SELECT * FROM events) TO '{place}'",
    "EXPORT DATABASE '{place}'",
    "ATTACH '{place}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_external_access",
    "CALL pragma_version()",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN TRANSACTION",
    "PREPARE later AS SELECT * FROM events",
    "USE temp",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('{secret}'), events",
    "SELECT * FROM read_blob('{secret}'), events",
    "SELECT * FROM read_parquet('{secret}'), events",
    "SELECT * FROM glob('{secret}'), events",
    "SELECT * FROM sniff_csv('{secret}'), events",
    "SELECT * FROM query('SELECT 1'), events",
    "SELECT * FROM query_table('events'), events",
    "SELECT * FROM events WHERE EXISTS (SELECT * FROM read_text('{secret}'))",
    "SELECT (SELECT content FROM read_text('{secret}')) FROM events",
    "SELECT * FROM views.main.events",
    "SELECT * FROM main.events",
    "SELECT * FROM duckdb_settings(), events",
    "SELECT * FROM information_schema.tables, events",
    "SELECT * FROM sqlite_master, events",
    "SELECT * FROM 'https://example.org/x.parquet'",
    "SELECT * FROM nothing",
    "SELECT 42",
    "",
    ";",
    "SELEC 1 FROM events",
    "SELECT \x00 FROM events",
    "SELECT '\ud800' FROM events",
]
WRITES = [
    "DROP VIEW events",
    "CREATE TABLE mine AS SELECT * FROM events",
    "WITH new AS (INSERT INTO tokens (symbol) VALUES ('x') RETURNING *) SELECT * FROM new",
    "COPY (SELECT * FROM events) TO '{place}'",
    "EXPORT DATABASE '{place}'",
    "ATTACH '{place}' AS other",
    "INSTALL httpfs",
    "SET memory_limit = '100GB'",
    "SELECT * FROM read_text('/etc/passwd')",
]
BOMBS = [
    "SELECT count(*) FROM range(1000000000000), events",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t, events",
    "SELECT list_sum(range(4000000000)) FROM events",
    "SELECT max(length(repeat('x', 3000000000))) FROM events",
    "SELECT * FROM events a, events b, events c, events d, events e, events f, events g ORDER BY hash(a, b)",
]


@pytest.fixture(scope="module")
def library(chaincite, tmp_path_factory) -> Library:
    folder = tmp_path_factory.mktemp("sql")
    files = chain.write(folder / "files")
    ran = chaincite(
        "--library", folder / "library", "ingest", "chain", "--file", files, "--chain", chain.CHAIN
    )
    assert ran.returncode == 0, ran.stderr
    return Library(folder / "library")


def digest(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(str(file).encode() + file.read_bytes() for file in files)).hexdigest()


def test_only_reading_is_allowed_and_the_library_stays_as_it_is(library, tmp_path):
    secret, place = tmp_path / "secret.csv", tmp_path / "stolen"
    secret.write_text("password\nhunter2\n")
    before = digest(library.folder)
    hostile = [one.replace("{secret}", str(secret)).replace("{place}", str(place)) for one in HOSTILE]
    with library.sql() as connection:
        for one in hostile:
            with pytest.raises(Refused) as caught:
                checked(connection, one)
            assert "hunter2" not in str(caught.value)
            assert "\n" not in str(caught.value)
    for one in hostile[::12]:
        with pytest.raises(SettingsError, match="refused"):
            query(library, one)
    assert not place.exists()
    assert digest(library.folder) == before


def test_what_slips_past_the_parser_meets_a_locked_connection(library, tmp_path):
    place = tmp_path / "stolen"
    with library.sql() as connection:
        for one in WRITES:
            with pytest.raises(duckdb.Error):
                connection.execute(one.replace("{place}", str(place)))
    assert not place.exists()


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_query_that_takes_too_much_is_stopped(library, bomb):
    with pytest.raises(SettingsError, match=r"stopped|refused"):
        query(library, bomb, limits=Limits(seconds=4, megabytes=256))
    assert query(library, "SELECT count(*) FROM blocks").rows == ((4,),)


_words = st.sampled_from(
    [
        "SELECT", "*", "FROM", "events", "blocks", "WHERE", "1", "(", ")", ",", ";", "WITH", "x", "AS",
        "DROP",
        "TABLE", "INSERT", "INTO", "VALUES", "COPY", "TO", "'/tmp/x'", "ATTACH", "read_text",
        "('/etc/passwd')",
        "--", "/*", "*/", "\n", "UNION", "ALL", "RETURNING", "main", ".", "DELETE", "UPDATE", "SET",
        "RECURSIVE",
    ]
)  # fmt: skip


@given(st.lists(_words, max_size=14).map(" ".join))
@settings(max_examples=60)
def test_what_is_let_pass_is_one_select_that_names_only_the_views(text):
    connection = duckdb.connect()
    try:
        checked(connection, text)
    except Refused:
        return
    [statement] = connection.extract_statements(text)
    assert statement.type == duckdb.StatementType.SELECT
    assert connection.get_table_names(text) <= {"events", "blocks", "x"}
    assert "passwd" not in text or text.find("--") < text.find("passwd") or "/*" in text


def test_integers_are_exact(library):
    odd = f"FROM token_transfers WHERE token_address = '{chain.ODD}'"
    found = query(library, f"SELECT max(value) AS largest, sum(value) AS total, count(*) AS n {odd}")
    assert found.rows == ((str(10**30), str(4 * 10**30), 4),)
    approved = query(library, "SELECT value FROM events WHERE event = 'Approval' AND log_index = 7 LIMIT 1")
    assert approved.rows == ((str(chain.UNLIMITED),),)
    assert not approved.inexact
    assert query(library, "SELECT avg(value) AS mean FROM token_transfers").inexact == ("mean",)


def test_rows_and_characters_are_bounded(library):
    found = query(library, "SELECT * FROM events", limits=Limits(rows=3))
    assert (len(found.rows), found.more) == (3, True)
    found = query(library, "SELECT * FROM events", limits=Limits(characters=3000))
    assert found.more
    assert len(json.dumps(found.rows)) <= 3100
    assert not query(library, "SELECT * FROM blocks", limits=Limits(rows=4)).more


def test_a_query_sees_only_what_passes_the_filters(library):
    tables = ("events", "token_transfers", "documents")
    count = "SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)  # noqa: S608
    everything = query(library, count).rows[0]
    assert everything[:2] == (32, 24)
    assert query(library, count, Filters(chains=("eip155:10",))).rows[0] == (0, 0, 0)
    odd = query(library, count, Filters(contracts=(chain.ODD,))).rows[0]
    assert odd[:2] == (4, 4)
    assert odd[2] == len(library.documents(Filters(contracts=(chain.ODD,))))
    day = datetime.fromtimestamp(chain.TIME, UTC).date()
    assert query(library, count, Filters(published_from=day, published_to=day)).rows[0] == everything
    assert query(library, count, Filters(published_to=date(2020, 1, 1))).rows[0] == (0, 0, 0)
    assert query(library, count, Filters(as_of=date(2020, 1, 1))).rows[0] == (0, 0, 0)
    assert query(library, count, Filters(sources=("*logs*",))).rows[0][0] == 32
    assert query(library, count, Filters(sources=("*blocks.jsonl",))).rows[0][:2] == (0, 0)
    with pytest.raises(SettingsError, match="only these may be seen: paper"):
        query(library, count, Filters(kinds=(Kind.PAPER,)))


def test_a_result_is_a_source_that_can_be_verified(library):
    found = query(library, "SELECT event, count(*) AS logs FROM events GROUP BY event ORDER BY event")
    hit = found.hit()
    assert hit.passage.text == "event: Approval; logs: 8\nevent: Transfer; logs: 24\n"
    source = SourceRef.of(hit.document, hit.passage)

    def elsewhere(source: SourceRef) -> Reading:
        raise SourceError(source.uri)

    reread = sandbox.rereading(lambda: library, elsewhere)
    again = reread(source)
    assert (again.text, again.document.sha256) == (hit.passage.text, source.sha256)
    with pytest.raises(SourceError, match="cannot be asked again"):
        reread(replace(source, location="DROP VIEW events"))
    with pytest.raises(SourceError, match="elsewhere:1"):
        reread(replace(source, uri="elsewhere:1"))


def test_rows_lead_to_their_passages(library):
    found = query(library, "SELECT * FROM token_transfers WHERE block_number = 102 AND log_index = 5")
    [hit] = sandbox.row_hits(library, found)
    assert hit.passage.heading[-1] == "log 5"
    assert f"0x{102 * 1000 + 2:064x}" in hit.passage.text
    assert str(6 * 1_234_567 * 102) in hit.passage.text
    assert SourceRef.of(hit.document, hit.passage).log_index == 5


def test_a_model_asks_in_sql_and_the_rows_are_evidence(library):
    desk = Desk(library, Filters(), Evidence(), lambda _step: None)
    [tool] = [one for one in tools(desk) if one.name == "sql"]
    select = "SELECT * FROM token_transfers WHERE block_number = 102 AND log_index = 5"
    said = asyncio.run(tool.ainvoke({"select": select}))
    assert f"value: {6 * 1_234_567 * 102}" in said
    texts = [section.text for section in desk.evidence.sections.values()]
    assert any(f"value: {6 * 1_234_567 * 102}" in text for text in texts)
    assert {section.document.kind for section in desk.evidence.sections.values()} == {Kind.EVENT}
    with pytest.raises(SettingsError, match="refused"):
        asyncio.run(tool.ainvoke({"select": "DROP VIEW events"}))


def test_a_model_asks_by_a_typed_query_which_is_checked_and_told(library):
    desk = Desk(library, Filters(), Evidence(), lambda _step: None)
    [tool] = [one for one in tools(desk) if one.name == "query_chain"]
    sent = {
        "subject": "transactions",
        "blocks": [[101, 102]],
        "where": {"negated": {"column": "from_address", "values": [chain.PEOPLE[0]]}},
    }
    said = asyncio.run(tool.ainvoke({"query": sent}))
    senders = [chain.transaction(n, i)["from_address"] for n in (101, 102) for i in range(4)]
    others = sum(one != chain.PEOPLE[0] for one in senders)
    assert f"{others} of 8 transactions of blocks 101 to 102: those whose sender is not" in said
    assert any(f"found: {others}" in section.text for section in desk.evidence.sections.values())
    with pytest.raises(SettingsError, match="have no column 'colour'"):
        asyncio.run(tool.ainvoke({"query": sent | {"where": {"column": "colour", "values": ["red"]}}}))


def test_a_library_without_events_offers_no_tables(sample_library):
    desk = Desk(Library(sample_library), Filters(), Evidence(), lambda _step: None)
    assert {"sql", "query_chain"}.isdisjoint({one.name for one in tools(desk)})


def test_the_command_prints_rows_json_and_csv(library, chaincite):
    asked = ("--library", library.folder, "events")
    ran = chaincite(*asked, "SELECT block_number, base_fee_per_gas FROM blocks ORDER BY 1", "--json")
    told = json.loads(ran.stdout)
    assert told["rows"][0] == {"block_number": 100, "base_fee_per_gas": "20000000100"}
    ran = chaincite(*asked, "--event", "Approval", "--contract", chain.WETH, "--from-block", "103", "--csv")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert [row["log_index"] for row in rows] == ["7"]
    assert json.loads(rows[0]["args"])["value"] == str(chain.UNLIMITED)
    ran = chaincite(*asked, "SELECT symbol FROM tokens", "-n", "1")
    assert ran.returncode == 0
    assert "only the first 1 rows" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to ask"),
        (("SELECT 1",), "reads no table"),
        (("SELECT * FROM events", "--from-block", "1"), "both given"),
        (("--from-block", "9", "--to-block", "8"), "no block lies between"),
        (("--event", "x'; DROP VIEW events"), "no event"),
        (("SELECT * FROM events", "--json", "--csv"), "both given"),
    ],
)
def test_a_wrong_command_is_one_clear_line(library, chaincite, arguments, told):
    ran = chaincite("--library", library.folder, "events", *arguments)
    assert ran.returncode == 2
    assert told in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr

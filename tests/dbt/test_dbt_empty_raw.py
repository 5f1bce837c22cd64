"""A warehouse without any data: every model, data test and unit test runs, and nothing warns."""

from collections import Counter

import pytest

pytestmark = pytest.mark.xdist_group("dbt_empty_raw")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, raw_world, build_warehouse):
    """Built from zero-row raw files, with the unit tests."""
    work = tmp_path_factory.mktemp("empty")
    return build_warehouse(raw_world(work / "raw").root, work, skip=())


def test_everything_passes(warehouse):
    results = [result for result in warehouse.results if not result["unique_id"].startswith("exposure.")]
    statuses = Counter(result["status"] for result in results)
    assert set(statuses) == {"success", "pass"}
    assert any(result["unique_id"].startswith("unit_test.") for result in warehouse.results)


def test_schemas_are_exactly_the_layers(warehouse):
    schemas = {row["table_schema"] for row in warehouse.rows("select table_schema from information_schema.tables")}
    assert schemas == {"seeds", "staging", "intermediate", "marts", "versions"}


@pytest.mark.parametrize("mart", ["fct_exchange_share", "fct_liquidation_tax", "fct_event_window"])
def test_facts_are_empty(warehouse, mart):
    assert warehouse.row(f"select count(*) as row_count from marts.{mart}")["row_count"] == 0


def test_figures_are_reconciled_from_published_values_alone(warehouse):
    rows = warehouse.rows("select status, source_class from marts.fct_reconciliation where computed_value is not null")
    assert rows
    assert {row["source_class"] for row in rows} == {"published"}


def test_average_daily_volume_is_explained_by_its_divisor(warehouse):
    row = warehouse.row("select * from marts.fct_reconciliation where figure_id = 'average_daily_volume_2025'")
    assert row["status"] == "explained"
    assert row["computed_value"] == pytest.approx(85.70e12 / 365)
    assert "324.0 days" in row["note"]
    assert "324.2" in row["note"]


def test_date_of_the_high_is_a_conflict(warehouse):
    query = "select * from marts.fct_reconciliation where figure_id like 'btc_high_2025%' order by figure_id"
    high, day = warehouse.rows(query)
    for row in (high, day):
        assert (row["status"], str(row["computed_date"])) == ("conflict", "2025-10-06")
        assert "start of the year" in row["note"]
    assert (high["published_value"], high["computed_value"]) == (126000, 126273)
    # A range of January alone was printed: 279 days over its later end.
    assert (day["published_value"], day["ratio"]) == (None, 9)


def test_top_four_share_is_explained_by_its_published_parts(warehouse):
    row = warehouse.row("select * from marts.fct_reconciliation where figure_id = 'top_four_share_2025'")
    assert (row["status"], row["source_class"]) == ("explained", "published")
    assert row["computed_value"] == pytest.approx(53.45 / 85.70)


def test_every_mart_carries_its_flags(warehouse):
    query = """
        select table_name, list(column_name) as columns
        from information_schema.columns where table_schema = 'marts' group by table_name
    """
    for row in warehouse.rows(query):
        assert {"completeness", "source_class"} <= set(row["columns"]), row["table_name"]

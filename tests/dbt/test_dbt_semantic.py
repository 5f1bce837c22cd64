"""The semantic layer: valid by dbt's own rules, and every metric worked out from its SQL against numbers made by hand."""

import json
import re
from datetime import date
from typing import Any

import duckdb
import pytest
from dbt_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest
from dbt_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator

from dagster_project.lib.home import PROJECT_ROOT
from schemas.marts import MART_MODELS

pytestmark = pytest.mark.xdist_group("dbt_semantic")

TAX_DAYS = [
    # venue, tier, day, liquidated, of which long, volume, open interest, tax_oi_bps, excess, regime
    ("binance", "major", date(2025, 10, 10), 10, 6, 1000, 200, 500, 2, "routine"),
    ("binance", "tail", date(2025, 10, 10), 30, 24, 1000, None, None, None, None),
    ("binance", "all", date(2025, 10, 10), 40, 30, 2000, 200, 500, 2, "stress"),
    ("market", "major", date(2025, 10, 10), 10, 6, 1000, 200, 500, 2, "routine"),
    ("market", "tail", date(2025, 10, 10), 30, 24, 1000, None, None, None, None),
    ("market", "all", date(2025, 10, 10), 40, 30, 2000, 200, 500, 2, "stress"),
    ("binance", "major", date(2025, 10, 11), 0, 0, 3000, 100, 0, -4, "routine"),
    ("binance", "all", date(2025, 10, 11), 0, 0, 3000, 100, 0, -4, "routine"),
    ("market", "major", date(2025, 10, 11), 0, 0, 3000, 100, 0, -4, "routine"),
    ("market", "all", date(2025, 10, 11), 0, 0, 3000, 100, 0, -4, "routine"),
    ("market", "major", date(2025, 10, 12), 5, 5, 1000, None, None, None, None),
    ("market", "all", date(2025, 10, 12), 5, 5, 1000, None, None, None, None),
]
SHARE_PERIODS = [
    # venue, period, start, volume, open interest
    ("binance", "day", date(2025, 10, 1), 60, 100),
    ("okx", "day", date(2025, 10, 1), 40, 50),
    ("binance", "day", date(2025, 10, 2), 10, 120),
    ("bybit", "day", date(2025, 10, 2), None, 30),
    ("bitget", "day", date(2025, 10, 2), 30, None),
    ("hyperliquid", "day", date(2025, 10, 2), 60, None),
    ("binance", "month", date(2025, 10, 1), 70, 120),
    ("okx", "month", date(2025, 10, 1), 40, None),
    ("bybit", "month", date(2025, 10, 1), None, 30),
    ("bitget", "month", date(2025, 10, 1), 30, None),
    ("hyperliquid", "month", date(2025, 10, 1), 60, None),
    ("uncovered", "year", date(2025, 1, 1), 9999, None),
]
METRICS = {
    # Two days of 200 bps and 0 bps: 40 of 5000 is 80 bps, and not their mean.
    "liquidated_usd": 40,
    "liquidated_long_usd": 30,
    "matched_volume_usd": 5000,
    "liquidation_tax": 0.008,
    "tax_bps": 80,
    "long_share": 0.75,
    "excess_usd": -2,
    # 10 of 200 and 0 of 100 USD x days; the tail's open interest is unknown, so its 30 do not count.
    "liquidated_with_open_interest_usd": 10,
    "taxed_open_interest_usd": 300,
    "tax_oi_bps": 10000 / 30,
    # With the day that only a feed without venues knows: 45 of 6000.
    "market_liquidated_usd": 45,
    "market_volume_usd": 6000,
    "market_liquidation_tax": 0.0075,
    "market_tax_bps": 75,
    "market_stress_days": 1,
    # 60 + 40 and 10 + 30 + 60; the month and the year hold the same trades again.
    "volume_usd": 200,
    "binance_share": 0.35,
    "okx_share": 0.2,
    "bybit_share": None,
    "bitget_share": 0.15,
    "hyperliquid_share": 0.3,
    "published_top_four_share": 0.7,
    # 120 + 30 on the last day; on average (150 + 150) / 2.
    "open_interest_usd": 150,
    "open_interest_dollar_days": 300,
    "open_interest_days": 2,
    "average_open_interest_usd": 150,
    # (60 + 40 + 10) over (100 + 50 + 120): bybit has no volume, bitget and hyperliquid no open interest.
    "traded_with_open_interest_usd": 110,
    "open_interest_dollar_days_with_volume": 270,
    "open_interest_turnover": 11 / 27,
}


@pytest.fixture(scope="module")
def target(tmp_path_factory, raw_world, run_dbt):
    """What dbt parsed, and the spine that it built."""
    work = tmp_path_factory.mktemp("semantic")
    done = run_dbt(raw_world(work / "raw").root, work, "--warn-error", "build", "--select", "int_days__spine")
    assert done.returncode == 0, done.stdout[-4000:]
    return work


@pytest.fixture(scope="module")
def graph(target):
    return json.loads((target / "target" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def semantic(target):
    return json.loads((target / "target" / "semantic_manifest.json").read_text())


@pytest.fixture(scope="module")
def marts(graph):
    """The two marts with the columns of their contracts and the rows above."""
    connection = duckdb.connect()
    connection.execute("create schema marts")
    for name in ("fct_liquidation_tax", "fct_exchange_share"):
        columns = graph["nodes"][f"model.delever.{name}"]["columns"].values()
        fields = ", ".join(f"{column['name']} {column['data_type']}" for column in columns)
        connection.execute(f"create table marts.{name} ({fields})")
    connection.executemany(
        "insert into marts.fct_liquidation_tax (venue, tier, tax_date, liquidated_usd, liquidated_long_usd, volume_usd, "
        "open_interest_usd, tax_oi_bps, excess_usd, regime) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        TAX_DAYS,
    )
    connection.executemany(
        "insert into marts.fct_exchange_share (venue, period_type, period_start, volume_usd, open_interest_usd) "
        "values (?, ?, ?, ?, ?)",
        SHARE_PERIODS,
    )
    yield connection
    connection.close()


class Reader:
    """Works a metric out as a consumer of the manifest would: an aggregate of an expression, then ratios of aggregates."""

    def __init__(self, semantic: dict[str, Any], connection: duckdb.DuckDBPyConnection) -> None:
        self.metrics = {metric["name"]: metric for metric in semantic["metrics"]}
        self.models = {
            measure["name"]: (model, measure) for model in semantic["semantic_models"] for measure in model["measures"]
        }
        self.connection = connection

    def value(self, name: str, condition: str = "true") -> Any:
        metric = self.metrics[name]
        settings = metric["type_params"]
        if metric["type"] == "simple":
            return self._measured(settings["measure"]["name"], condition)
        if metric["type"] == "ratio":
            parts = [self._part(settings[part], condition) for part in ("numerator", "denominator")]
            return None if parts[0] is None or not parts[1] else parts[0] / parts[1]
        inputs = {one["alias"] or one["name"]: self._part(one, condition) for one in settings["metrics"]}
        names = ", ".join(f"cast(? as double) as {name}" for name in inputs)
        return self.connection.execute(
            f"select {settings['expr']} from (select {names})", list(inputs.values())
        ).fetchone()[0]

    def _part(self, part: dict[str, Any], condition: str) -> Any:
        filters = [one["where_sql_template"] for one in (part["filter"] or {"where_filters": []})["where_filters"]]
        own = [re.sub(r"{{ Dimension\('\w+?__(\w+)'\) }}", r"{\1}", one) for one in filters]
        return self.value(part["name"], " and ".join([condition, *own]))

    def _measured(self, name: str, condition: str) -> Any:
        model, measure = self.models[name]
        dimensions = {one["name"]: one["expr"] or one["name"] for one in model["dimensions"]}
        table = f"{model['node_relation']['schema_name']}.{model['node_relation']['alias']}"
        condition = condition.format(**dimensions)
        aggregate = {"sum": "sum({})", "count_distinct": "count(distinct {})"}[measure["agg"]].format(measure["expr"])
        window = measure["non_additive_dimension"]
        if window:
            day = dimensions[window["name"]]
            condition += f" and {day} = (select {window['window_choice']}({day}) from {table} where {condition})"
        return self.connection.execute(f"select {aggregate} from {table} where {condition}").fetchone()[0]


def test_manifest_is_valid_without_a_warning(semantic):
    manifest = PydanticSemanticManifest.parse_obj(semantic)
    issues = SemanticManifestValidator[PydanticSemanticManifest]().validate_semantic_manifest(manifest)
    assert not issues.all_issues


def test_every_metric_has_a_number_made_by_hand(semantic):
    assert {metric["name"] for metric in semantic["metrics"]} == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_its_hand_made_number(semantic, marts, name):
    found = Reader(semantic, marts).value(name)
    assert found is None if METRICS[name] is None else found == pytest.approx(METRICS[name], rel=1e-12)


def test_groups_keep_sums_over_sums(semantic, marts):
    reader = Reader(semantic, marts)
    assert reader.value("tax_bps", "{tier} = 'tail'") == pytest.approx(300)
    assert reader.value("tax_bps", "{tier} = 'major'") == pytest.approx(25)
    assert reader.value("tax_bps", "{tax_date} = date '2025-10-11'") == 0
    assert reader.value("binance_share", "{period_start} = date '2025-10-01'") == pytest.approx(0.6)
    assert reader.value("open_interest_usd", "{venue_name} = 'okx'") == 50


def test_spine_has_every_day_once(target):
    """10,000 days from 2019-01-01 end on 2046-05-18."""
    with duckdb.connect(str(target / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select count(*), count(distinct day_date), min(day_date), max(day_date) from intermediate.int_days__spine"
        ).fetchone()
    assert found == (10_000, 10_000, date(2019, 1, 1), date(2046, 5, 18))


def test_coverage_summary_takes_in_every_fact_table(graph):
    read = {node.rpartition(".")[2] for node in graph["nodes"]["model.delever.coverage_summary"]["depends_on"]["nodes"]}
    assert read == {name for name in MART_MODELS if name.startswith("fct_")}


def test_exposures_are_those_of_published_tables(graph):
    for exposure in graph["exposures"].values():
        assert {node.rpartition(".")[2] for node in exposure["depends_on"]["nodes"]} <= MART_MODELS.keys()
    assert {exposure["name"] for exposure in graph["exposures"].values()} == {"report_page", "demo_summary"}


def test_exposures_name_what_is_there_or_say_that_it_is_planned(graph):
    """One that is there names its file, which reads every table that is listed; a planned one names nothing."""
    for exposure in graph["exposures"].values():
        meta, text = exposure["config"]["meta"], exposure["description"]
        named = [meta["path"]] if "path" in meta else []
        named += re.findall(r"[\w./-]+/[\w./-]*", text)
        for path in named:
            assert (PROJECT_ROOT / path).exists(), f"{exposure['name']}: {path}"
        if meta.get("planned"):
            assert text.startswith("Planned"), exposure["name"]
            assert (exposure["maturity"], exposure["url"], named) == ("low", None, []), exposure["name"]
        else:
            source = (PROJECT_ROOT / meta["path"]).read_text()
            tables = {node.rpartition(".")[2] for node in exposure["depends_on"]["nodes"]}
            assert all(table in source for table in tables), exposure["name"]

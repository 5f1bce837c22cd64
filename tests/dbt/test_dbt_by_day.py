"""Days that are read again, come late or go away: models by day give the rows of a full refresh, and make no day too many."""

import json
import os
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.xdist_group("dbt_by_day")

FIRST = date(2025, 8, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(100)]
LATE = DAYS[40]
PRICES = {"BTCUSDT": 100.0, "ETHUSDT": 10.0}
PRODUCTS = {"binance": "um", "bybit": "linear"}
VOLUME = ("--select", "+int_volume__daily", "+int_liquidations__daily")
"""Enough to see the mechanism at work."""
PROJECT = Path(__file__).resolve().parents[2] / "dbt"
BUILD = ("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")

SWING = "(2 + sin(epoch(date) / 86400.0 + hour / 9.0 + length(venue)))"
HOURS = {
    "klines": "0, 24, 6",
    "liquidations": "6, 20, 12",
    "funding": "0, 24, 8",
    "open_interest": "23, 24, 1",
    "long_short_ratios": "12, 13, 1",
    "depth": "0, 24, 3",
    "reference_klines": "0, 24, 6",
}
COLUMNS = {
    "klines": f"""date + to_hours(hour) as open_time, 21600 as interval_seconds, price as open, price * 1.02 as high,
        price * (0.9 + 0.03 * {SWING}) as low, price * 1.01 as close, {SWING} * factor as volume, volume * price as turnover""",
    "liquidations": f"""date + to_hours(hour) as event_time, case hour when 6 then 'buy' else 'sell' end as side,
        {SWING} * factor / 100 as quantity, price""",
    "funding": f"date + to_hours(hour) as funding_time, 0.0001 * {SWING} * factor as funding_rate",
    "open_interest": f"""date + to_hours(hour) as observed_at, 0 as period_seconds,
        50 * {SWING} * factor as open_interest""",
    "long_short_ratios": f"""date + to_hours(hour) as observed_at, 3600 as period_seconds, 'accounts' as population,
        {SWING} * factor as long_short_ratio""",
    "depth": f"""date + to_hours(hour) as observed_at, 1 as percentage, 1000 * {SWING} * factor as notional,
        notional / price as quantity""",
    "reference_klines": f"""date + to_hours(hour) as open_time, 21600 as interval_seconds, 'index' as price_kind,
        price as open, price * 1.02 as high, price * 0.9 as low, price * (1 + {SWING} * factor / 1000) as close""",
}


@pytest.fixture(scope="module")
def fill(raw_world):
    """Write days of two venues and their contracts into a raw layer, instead of what it held of them."""

    def write(world, days: list[date], *, factor: float = 1.0, prices: dict[str, float] = PRICES) -> None:
        contracts = ", ".join(f"('{symbol}', {price})" for symbol, price in prices.items())
        listed = ", ".join(f"date '{day}'" for day in days)
        for venue, product in PRODUCTS.items():
            for entity, hours in HOURS.items():
                dataset = f"{venue}__{entity}"
                for day in days:
                    shutil.rmtree(world.root / dataset / f"venue={venue}" / f"date={day}", ignore_errors=True)
                query = f"""select '{venue}' as venue, '{venue}' as feed, '{product}' as product, 'test' as source,
                    'measured' as source_class, 'complete' as completeness, 'page' as landing_path, {factor} as factor,
                    timestamptz '2026-01-01 00:00:00+00' as ingested_at, *, {COLUMNS[entity]}
                    from (select unnest([{listed}]) as date)
                    cross join (select unnest(range({hours})) as hour)
                    cross join (values {contracts}) as contracts(venue_symbol, price)"""
                world.add_some(dataset, query)
        age(world.root)

    return write


def age(raw: Path) -> None:
    """Make files as old as they are in life: what was written within the last seconds counts as changed once more."""
    now = time.time()
    for file in raw.rglob("*.parquet"):
        if file.stat().st_mtime > now - 30:
            os.utime(file, (now - 60, now - 60))


@pytest.fixture(scope="module")
def build(run_dbt):
    """Build all models, or some, and return what dbt said of each."""

    def run(raw: Path, work: Path, *options: str, digest: str = "1") -> dict[str, str]:
        done = run_dbt(raw, work, "--warn-error", *BUILD, *options, digest=digest)
        assert done.returncode == 0, done.stdout[-6000:]
        results = json.loads((work / "target" / "run_results.json").read_text())["results"]
        return {result["unique_id"].split(".")[-1]: result["status"] for result in results}

    return run


@pytest.fixture
def world(raw_world, tmp_path, fill):
    """A hundred days of both venues, but for one day that is late, and an hour a day that only a file has."""
    made = raw_world(tmp_path / "raw")
    fill(made, [day for day in DAYS if day != LATE])
    made.add_some(
        "files_klines",
        f"""select 'bybit' as venue, 'BTCUSDT' as venue_symbol, 'BTC' as base_asset, 'linear' as contract_type,
            'last' as price_kind, 'file' as source, 'measured' as source_class, 'complete' as completeness,
            'page' as landing_path, timestamptz '2026-01-01 00:00:00+00' as ingested_at, 21600 as interval_seconds, *,
            90.0 as open, 95.0 as high, 85.0 as low, 92.0 as close, 3.0 as base_quantity, 276.0 as notional_usd
            from (select date, date + to_hours(hour) as open_time
                  from (select unnest([{", ".join(f"date '{day}'" for day in DAYS)}]) as date)
                  cross join (values (0), (3)) as hours(hour))""",
    )
    age(made.root)
    return made


def differing(one: Path, other: Path) -> dict[str, list[int]]:
    """Tables that have not the same rows in two warehouses, with the number of rows that only one of them has."""
    found = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where database_name = 'one' and schema_name <> 'versions'"
        ).fetchall()
        assert len(tables) > 80
        for (table,) in tables:
            counts = [
                connection.execute(f"select count(*) from (from {a}.{table} except all from {b}.{table})").fetchall()[
                    0
                ][0]
                for a, b in (("one", "other"), ("other", "one"))
            ]
            if counts != [0, 0]:
                found[table] = counts
    return found


def contents(warehouse: Path, model: str) -> dict[date, str]:
    """What the memory says of the rows of a model's days: a hash, or of staging the run that read them."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        query = "select day, content from versions.days where model = $1 and content is not null"
        return dict(connection.execute(query, [model]).fetchall())


def remade(before: Path, after: Path, model: str) -> list[date]:
    """Days of a model whose rows are not the same in two warehouses, or of staging that were read again."""
    one, other = contents(before, model), contents(after, model)
    return sorted(day for day in one.keys() | other.keys() if one.get(day) != other.get(day))


def kept(work: Path, name: str) -> Path:
    """A copy of the warehouse as it is."""
    return Path(shutil.copy(work / "warehouse.duckdb", work / f"{name}.duckdb"))


def made(work: Path) -> set[str]:
    """Models and seeds that the last run made; the others it left as they were. Views are always made."""
    results = json.loads((work / "target" / "run_results.json").read_text())["results"]
    nodes = json.loads((work / "target" / "manifest.json").read_text())["nodes"]
    return {
        nodes[result["unique_id"]]["name"]
        for result in results
        if nodes.get(result["unique_id"], {}).get("resource_type") in {"model", "seed"}
        and nodes[result["unique_id"]]["config"]["materialized"] != "view"
        and result["message"] != "UNCHANGED"
    }


def test_late_days_changed_days_and_lost_days_give_the_rows_of_a_full_refresh(world, tmp_path, build, fill):
    build(world.root, tmp_path)
    first = kept(tmp_path, "first")

    fill(world, [LATE])
    build(world.root, tmp_path)
    late = kept(tmp_path, "late")
    assert remade(first, late, "stg_venues__klines") == [LATE]
    assert remade(first, late, "int_volume__daily") == [LATE]
    ninety_days = [
        LATE + timedelta(days=n) for n in range(91) if LATE + timedelta(days=n) <= DAYS[-1] + timedelta(days=1)
    ]
    assert set(remade(first, late, "int_asset_tiers__daily")) <= set(ninety_days)
    assert set(remade(first, late, "fct_liquidation_tax")) <= set(ninety_days)
    assert LATE in remade(first, late, "fct_liquidation_tax")

    fill(world, [DAYS[70], DAYS[-1]], factor=1.7)
    shutil.rmtree(world.root / "bybit__klines" / "venue=bybit" / f"date={DAYS[20]}")
    build(world.root, tmp_path)
    changed = kept(tmp_path, "changed")
    assert remade(late, changed, "stg_venues__klines") == [DAYS[20], DAYS[70], DAYS[-1]]
    assert remade(late, changed, "int_liquidations__daily") == [DAYS[70], DAYS[-1]]
    assert {"int_event_contracts__described", "fct_event_window", "fct_exchange_share"} <= made(tmp_path)

    # A month after the event its tables rest on nothing new, and of what reads all days little holds something else.
    fill(world, [DAYS[-1]], factor=2.3)
    build(world.root, tmp_path)
    changed = kept(tmp_path, "changed")
    assert {"stg_venues__klines", "fct_exchange_share", "fct_open_interest_cycle"} <= made(tmp_path)
    assert not {name for name in made(tmp_path) if "_event_" in name or name in {"dim_event", "venue_feed_changes"}}

    build(world.root, tmp_path, "--full-refresh")
    assert {"stg_venues__klines", "fct_event_window", "dim_event", "venue_feed_changes"} <= made(tmp_path)
    whole = kept(tmp_path, "whole")
    assert differing(changed, whole) == {}
    # Equal and empty would prove nothing: only what no feed of this world delivers is empty.
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text())["nodes"].values()
    by_day = {node["name"]: node["schema"] for node in manifest if node["config"].get("meta", {}).get("by_day")}
    with duckdb.connect(str(whole), read_only=True) as connection:
        held = {
            name
            for name, schema in by_day.items()
            if connection.execute(f"select 1 from {schema}.{name} limit 1").fetchall()
        }
    assert by_day.keys() - held == {"stg_venues__liquidation_sums", "stg_venues__premium_klines", "stg_venues__tickers"}
    assert len(differing(first, whole)) > 20
    with duckdb.connect(str(whole), read_only=True) as connection:
        (leftovers,) = connection.execute(
            "select count(*) from duckdb_tables() where table_name like '%dbt_backup' or table_name like '%dbt_tmp'"
        ).fetchall()[0]
    assert leftovers == 0


def test_an_unchanged_raw_layer_makes_no_day_again_and_another_project_all(world, tmp_path, build):
    build(world.root, tmp_path, *VOLUME)
    first = kept(tmp_path, "first")
    build(world.root, tmp_path, *VOLUME)
    second = kept(tmp_path, "second")
    assert made(tmp_path) == set()
    for model in ("stg_venues__klines", "stg_venues__liquidations", "int_volume__daily"):
        assert remade(first, second, model) == []
    # A file may be written twice within the second that file times have: it is looked at once more.
    (file,) = (world.root / "binance__klines" / "venue=binance" / f"date={DAYS[5]}").iterdir()
    os.utime(file)
    build(world.root, tmp_path, *VOLUME)
    third = kept(tmp_path, "third")
    assert remade(second, third, "stg_venues__klines") == [DAYS[5]]
    assert "stg_venues__klines" in made(tmp_path)
    os.utime(file, (file.stat().st_mtime - 60,) * 2)
    build(world.root, tmp_path, *VOLUME)
    fourth = kept(tmp_path, "fourth")
    assert remade(third, fourth, "stg_venues__klines") == [DAYS[5]]
    assert remade(third, fourth, "int_volume__daily") == []
    build(world.root, tmp_path, *VOLUME, digest="2")
    assert remade(fourth, tmp_path / "warehouse.duckdb", "stg_venues__klines") == [day for day in DAYS if day != LATE]
    fifth = kept(tmp_path, "fifth")
    # Whoever does not say which version it is gets everything made.
    build(world.root, tmp_path, *VOLUME, digest="")
    assert len(remade(fifth, tmp_path / "warehouse.duckdb", "stg_venues__klines")) == len(DAYS) - 1


def test_a_table_that_is_gone_or_not_remembered_is_made_again(world, tmp_path, build):
    build(world.root, tmp_path, *VOLUME)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("drop table staging.stg_files__klines")
        connection.execute("delete from seeds.feed_units")
        connection.execute("delete from versions.whole where model in ('feed_units', 'stg_reference__instruments')")
    build(world.root, tmp_path, *VOLUME)
    # A table that nobody remembers is no ground to stand on: those that read it are made, too.
    assert {"stg_files__klines", "feed_units", "stg_reference__instruments"} <= made(tmp_path)
    build(world.root, tmp_path, *VOLUME)
    assert made(tmp_path) == set()


def test_a_run_that_ended_after_staging_is_finished_by_the_next(world, tmp_path, build, fill):
    build(world.root, tmp_path, *VOLUME)
    fill(world, [LATE])
    build(world.root, tmp_path, "--select", "stg_venues__klines", "stg_venues__liquidations")
    build(world.root, tmp_path, *VOLUME)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        for model, day in (("int_volume__daily", "volume_date"), ("int_liquidations__daily", "liquidation_date")):
            query = f"select count(distinct {day}), count(*) filter (where {day} = $1) from intermediate.{model}"
            assert connection.execute(query, [LATE]).fetchall() == [(len(DAYS), 4)]


def test_terms_that_become_known_reach_the_days_before(world, tmp_path, build, fill):
    """A contract that no seed names has no base asset until its venue states its terms; then all its days have."""
    fill(world, [DAYS[10], DAYS[11]], prices=PRICES | {"NEWUSDT": 1.0})
    build(world.root, tmp_path, *VOLUME)
    unknown = kept(tmp_path, "unknown")
    terms = {"base_code": "'NEW'", "quote_code": "'USDT'", "settle_code": "'USDT'", "contract_type": "'linear'"}
    stated = {"date": DAYS[50], "event_at": f"timestamptz '{DAYS[50]} 00:00:00+00'", "venue_symbol": "'NEWUSDT'"}
    world.add(
        "binance__instruments", [{**stated, **terms, "is_perpetual": "true", "contract_value": 1.0}], product="'um'"
    )
    age(world.root)
    build(world.root, tmp_path, *VOLUME)
    known = kept(tmp_path, "known")
    assert remade(unknown, known, "stg_venues__klines") == [DAYS[10], DAYS[11]]
    for warehouse, asset in ((unknown, None), (known, "NEW")):
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            query = (
                "select distinct partition_date, base_asset from staging.stg_venues__klines "
                "where venue = 'binance' and venue_symbol = 'NEWUSDT' order by all"
            )
            assert connection.execute(query).fetchall() == [(DAYS[10], asset), (DAYS[11], asset)]


def test_every_input_of_a_model_by_day_is_one_of_its_days_or_whole(raw_world, tmp_path, run_dbt):
    """A reference that the memory does not know would let a row keep what is no longer true."""
    assert run_dbt(raw_world(tmp_path / "raw").root, tmp_path, "parse").returncode == 0
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text())
    nodes = manifest["nodes"]
    models = [node for node in nodes.values() if node["config"].get("meta", {}).get("by_day")]
    assert len(models) > 20

    def inputs(node: dict) -> set[str]:
        """Names of tables behind a node's references: views are what they select from, seeds are the project's."""
        found = set()
        for name in node["depends_on"]["nodes"]:
            if name.startswith("source."):
                found.add("raw." + name.split(".")[-1])
            elif nodes[name]["config"]["materialized"] == "view":
                found |= inputs(nodes[name])
            elif not name.startswith("seed."):
                found.add(nodes[name]["name"])
        return found

    remembers = {
        node["name"] for node in nodes.values() if set(node["config"].get("meta", {})) & {"by_day", "with_days"}
    }
    for node in models:
        by_day = node["config"]["meta"]["by_day"]
        assert inputs(node) - {by_day["terms"]} == set(by_day["rests_on"]), node["name"]
        assert all(name.startswith("raw.") or name in remembers for name in by_day["rests_on"]), node["name"]
    # The map looks back as many days as the seed says; a bar may begin a day before it counts, and so may a day.
    seed = (PROJECT / "seeds" / "liquidation_map_parameters.csv").read_text()
    (lookback,) = (int(line.split(",")[1]) for line in seed.splitlines() if line.startswith("lookback_days"))
    (steps,) = (node for node in models if node["name"] == "int_liquidation_map__steps")
    windows = {name: window[0] for name, window in steps["config"]["meta"]["by_day"]["rests_on"].items()}
    assert windows.pop("int_liquidation_map__moments") == 0
    assert (
        min(windows["stg_venues__klines"], windows["int_bars__filled"])
        > windows["int_open_interest__observed"]
        > lookback
    )

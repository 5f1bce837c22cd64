"""The market's marts over inputs that break naive arithmetic, and over raw layers that end earlier.

Sixty days from 1 August 2025 on two venues that no seed knows. A day of alpha trades 2000 BTC, 1000 ETH, 5000 OLD (20 days,
then delisted) and 9000 NEW (listed on day 40) in USD; a day of beta 1000 BTC and 500 ETH. Days count from 0.
"""

import json
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from drawn_cuts import drawn_cut

pytestmark = pytest.mark.xdist_group("dbt_market")

START = datetime(2025, 8, 1, tzinfo=UTC)
DAYS = 60
MISSING_HOUR, OUTAGE, NO_LIQUIDATIONS, ZERO_VOLUME, DUPLICATES, ONE_VENUE, STRESS = 45, (46, 47), 48, 49, 50, 51, 52
VOLUMES = {
    ("alpha", "BTC"): 2000.0,
    ("alpha", "ETH"): 1000.0,
    ("alpha", "OLD"): 5000.0,
    ("alpha", "NEW"): 9000.0,
    ("beta", "BTC"): 1000.0,
    ("beta", "ETH"): 500.0,
}
MARTS = ("fct_exchange_share", "fct_liquidation_tax", "fct_tax_concentration", "fct_open_interest_cycle")


def day_of(n: int) -> date:
    return (START + timedelta(days=n)).date()


def trades(venue: str, asset: str, n: int) -> bool:
    """Whether a contract trades on a day."""
    if venue == "beta":
        return n not in OUTAGE
    listed = {"OLD": n < 20, "NEW": n >= 40}
    return listed.get(asset, True) and n != ONE_VENUE


def bar(venue, asset, moment, seconds, volume, **more):
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    return {
        "venue": venue,
        "date": moment.date(),
        "venue_symbol": f"'{asset}'",
        "base_asset": f"'{asset}'",
        "contract_type": "'linear'",
        "price_kind": "'last'",
        "interval_seconds": seconds,
        "open_time": f"timestamptz '{moment.isoformat()}'",
        "notional_usd": volume,
        **prices,
        **more,
    }


def bars_of(venue, asset, n):
    volume, moment = VOLUMES[venue, asset], START + timedelta(days=n)
    if (venue, asset, n) == ("alpha", "BTC", MISSING_HOUR):
        hours = [moment + timedelta(hours=hour) for hour in range(24) if hour != 13]
        return [bar(venue, asset, hour, 3600, volume / 24) for hour in hours]
    if (venue, asset, n) == ("beta", "ETH", ZERO_VOLUME):
        return [bar(venue, asset, moment, 86400, 0.0)]
    once = bar(venue, asset, moment, 86400, volume)
    return [once, {**once, "landing_path": "'fixture/page-2'"}] if n == DUPLICATES else [once]


def liquidated(asset: str, n: int) -> float:
    """USD of liquidated longs; shorts are a third of it."""
    return (3 + 3 * (n * 37 % 11)) * (50 if n == STRESS else 1) * (1 if asset == "BTC" else 0.5)


def liquidations_of(venue, asset, n):
    if (venue, n) == ("alpha", NO_LIQUIDATIONS):
        return []
    row = {
        key: value
        for key, value in bar(venue, asset, START + timedelta(days=n), 86400, 0.0).items()
        if key in ("venue", "date", "venue_symbol", "base_asset", "contract_type")
    }
    row |= {"event_at": f"timestamptz '{(START + timedelta(days=n)).isoformat()}'", "period_seconds": 86400}
    longs = liquidated(asset, n)
    return [
        {**row, "liquidated_side": "'long'", "notional_usd": longs},
        {**row, "liquidated_side": "'short'", "notional_usd": longs / 3},
    ]


def interest(n: int) -> float:
    """USD of open interest of every contract: a peak every seventh day, each above the one before."""
    return 1000.0 + 10 * n + 100 * (n % 7)


def interest_of(venue, asset, n):
    moment = START + timedelta(days=n, hours=23)
    row = {"venue": venue, "date": moment.date(), "venue_symbol": f"'{asset}'", "base_asset": f"'{asset}'"}
    row |= {"contract_type": "'linear'", "event_at": f"timestamptz '{moment.isoformat()}'", "oi_sidedness": "'one'"}
    return [{**row, "notional_usd": interest(n)}]


def write_world(world, until: int) -> None:
    """Everything before day ``until``."""
    parts = [(venue, asset, n) for n in range(until) for venue, asset in VOLUMES if trades(venue, asset, n)]
    for dataset, rows_of in (
        ("files_klines", bars_of),
        ("files_liquidations", liquidations_of),
        ("files_open_interest", interest_of),
    ):
        world.add(dataset, [row for part in parts for row in rows_of(*part)])


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        cursor = connection.execute(query)
        names = [item[0] for item in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def build(run_dbt, raw, work, *options):
    """The market's marts and all that they rest on."""
    chosen = [f"+{mart}" for mart in (*MARTS, "dim_venue")]
    done = run_dbt(raw, work, "--warn-error", "build", "--no-use-colors", *options, "--select", *chosen)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return work / "warehouse.duckdb"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, raw_world, run_dbt):
    """Built from all sixty days, with the data tests that the chosen models are enough for."""
    work = tmp_path_factory.mktemp("market")
    world = raw_world(work / "raw")
    write_world(world, DAYS)
    options = ("--exclude-resource-type", "unit_test", "--indirect-selection", "buildable")
    path = build(run_dbt, world.root, work, *options)
    results = json.loads((work / "target" / "run_results.json").read_text())["results"]
    assert sum(result["status"] == "pass" for result in results) > 50
    return path


@pytest.fixture
def ask(warehouse):
    return lambda query: rows(warehouse, query)


def shares(ask, n):
    query = f"select * from marts.fct_exchange_share where period_type = 'day' and period_start = '{day_of(n)}'"
    return {row["venue"]: row for row in ask(query)}


def taxes(ask, n, tier="all"):
    query = f"select * from marts.fct_liquidation_tax where tax_date = '{day_of(n)}' and tier = '{tier}'"
    return {row["venue"]: row for row in ask(query)}


def cycles(ask, n):
    query = f"select * from marts.fct_open_interest_cycle where open_interest_date = '{day_of(n)}'"
    return {row["venue"]: row for row in ask(query)}


def test_tiers_are_by_list_until_thirty_days_are_known(ask):
    """On day 30 OLD leads with 100,000, though it trades no more, before BTC with 90,000 and ETH with 45,000."""
    query = (
        "select base_asset, tier, tier_rank, tier_basis from intermediate.int_asset_tiers__daily where tier_date = '{}'"
    )
    assert {tuple(row.values()) for row in ask(query.format(day_of(19)))} == {
        ("BTC", "major", None, "fixed_list"),
        ("ETH", "major", None, "fixed_list"),
        ("OLD", "tail", None, "fixed_list"),
    }
    assert {tuple(row.values()) for row in ask(query.format(day_of(30)))} == {
        ("BTC", "major", 2, "trailing_volume"),
        ("ETH", "mid", 3, "trailing_volume"),
    }


def test_listed_contract_has_a_tier_by_volume_from_its_second_day_on(ask):
    query = (
        "select tier, tier_rank, tier_basis from intermediate.int_asset_tiers__daily "
        "where base_asset = 'NEW' order by tier_date limit 2"
    )
    assert [tuple(row.values()) for row in ask(query)] == [("tail", None, "fixed_list"), ("mid", 4, "trailing_volume")]
    basis = {n: taxes(ask, n)["alpha"]["tier_basis"] for n in (39, 40, 41)}
    assert basis == {39: "trailing_volume", 40: "mixed", 41: "trailing_volume"}


def test_volume_without_liquidations_is_no_tax_and_not_zero(ask):
    """Alpha is silent: nobody knows whether nothing happened, and the market is beta alone."""
    found = taxes(ask, NO_LIQUIDATIONS)
    assert set(found) == {"beta", "market"}
    assert found["market"]["volume_venues"] == "beta"
    assert shares(ask, NO_LIQUIDATIONS)["alpha"]["volume_usd"] == 12000.0
    year = ask("select days_covered, days_in_year, completeness from marts.fct_tax_concentration where venue = 'alpha'")
    assert [tuple(row.values()) for row in year] == [(DAYS - 2, 365, "partial")]


def test_zero_volume_gives_no_tax(ask):
    """Beta's only mid asset did not trade and was liquidated all the same: a bill, and no tax, score or regime."""
    row = taxes(ask, ZERO_VOLUME, "mid")["beta"]
    assert (row["volume_usd"], row["base_assets_covered"]) == (0.0, 1)
    assert row["liquidated_usd"] == pytest.approx(liquidated("ETH", ZERO_VOLUME) * 4 / 3)
    assert (row["tax_bps"], row["robust_z"], row["regime"]) == (None, None, None)
    assert shares(ask, ZERO_VOLUME)["beta"]["volume_usd"] == 1000.0


def test_concentration_of_a_year_recomputed(ask):
    """Beta's bill day by day in plain Python: sorted, added up, and every day compared with every other."""
    days = [n for n in range(DAYS) if n not in OUTAGE]
    bills = sorted(((liquidated("BTC", n) + liquidated("ETH", n)) * 4 / 3 for n in days), reverse=True)
    total, count = sum(bills), len(bills)
    paid = [sum(bills[: place + 1]) for place in range(count)]
    row = ask("select * from marts.fct_tax_concentration where venue = 'beta'")[0]
    assert (row["tax_year"], row["days_covered"], row["worst_date"]) == (2025, count, day_of(STRESS))
    assert row["liquidated_usd"] == pytest.approx(total)
    assert row["worst_1_day_share"] == pytest.approx(paid[0] / total)
    assert row["worst_5_days_share"] == pytest.approx(paid[4] / total)
    assert row["worst_10_days_share"] == pytest.approx(paid[9] / total)
    assert row["days_to_half"] == next(place + 1 for place in range(count) if paid[place] >= total / 2)
    differences = sum(abs(one - other) for one in bills for other in bills)
    assert row["gini"] == pytest.approx(differences / (2 * count * total))
    assert (row["stress_days"], row["unclassified_days"]) == (1, 14)
    parts = row["routine_usd"] + row["over_routine_usd"] + row["unclassified_usd"]
    assert parts == pytest.approx(row["liquidated_usd"])
    assert (row["is_floor"], row["completeness"]) == (False, "partial")


def test_missing_hour_leaves_the_day_out_of_the_tax_and_flags_the_share(ask):
    """Of alpha's BTC 23 hours are known: 2000 x 23 / 24 of volume, and its liquidations are unmatched."""
    row = taxes(ask, MISSING_HOUR)["alpha"]
    longs = liquidated("BTC", MISSING_HOUR)
    assert row["unmatched_liquidated_usd"] == pytest.approx(longs * 4 / 3)
    assert (row["base_assets_covered"], row["base_assets_unmatched"]) == (2, 1)
    assert row["volume_usd"] == 10000.0
    share = shares(ask, MISSING_HOUR)["alpha"]
    assert share["volume_usd"] == pytest.approx(10000 + 2000 * 23 / 24)
    assert share["venue_completeness"] == "partial"


def test_duplicate_bars_count_once(ask):
    assert {v: row["volume_usd"] for v, row in shares(ask, DUPLICATES).items()} == {"alpha": 12000.0, "beta": 1500.0}


def test_one_venue_is_the_whole_market(ask):
    share = shares(ask, ONE_VENUE)
    assert set(share) == {"beta"}
    row = share["beta"]
    assert (row["share"], row["rank"], row["cr4"], row["hhi"], row["effective_venues"]) == (1.0, 1, 1.0, 1.0, 1.0)
    assert (row["rank_change"], row["share_change"]) == (1, pytest.approx(1 - 1500 / 13500))
    tax = taxes(ask, ONE_VENUE)
    assert set(tax) == {"beta", "market"}
    assert tax["market"]["tax_bps"] == tax["beta"]["tax_bps"]


def test_outage_of_a_venue_is_no_fall_of_open_interest(ask):
    """The market's change is alpha's alone, flagged; after it beta is compared with its day before the outage."""
    for n in OUTAGE:
        assert set(taxes(ask, n)) == {"alpha", "market"}
        found = cycles(ask, n)
        assert set(found) == {"alpha", "market"}
        assert found["market"]["open_interest_change"] == found["alpha"]["open_interest_change"]
        assert (found["market"]["venues_covered"], found["market"]["completeness"]) == (1, "partial")
    back = NO_LIQUIDATIONS
    now, before = 5 * interest(back), 3 * interest(back - 1) + 2 * interest(MISSING_HOUR)
    assert cycles(ask, back)["market"]["open_interest_change"] == pytest.approx(now / before - 1)
    assert shares(ask, back)["beta"]["share_change"] is None
    assert shares(ask, back)["beta"]["rank_change"] is None


def test_listing_and_delisting_move_the_level_and_not_the_cycle(ask):
    """All contracts have the same open interest, so that without the change of the list the index is the level's."""
    for n in (20, 40):
        row = cycles(ask, n)["alpha"]
        assert row["open_interest_change"] == pytest.approx(interest(n) / interest(n - 1) - 1)
        assert row["open_interest_index"] == pytest.approx(interest(n) / interest(0))
    assert (cycles(ask, 40)["alpha"]["contracts_covered"], cycles(ask, 40)["alpha"]["contracts_compared"]) == (3, 2)


def test_the_rest_of_the_published_total_is_a_row_without_share_and_rank(ask):
    found = ask("select * from marts.fct_exchange_share where period_type = 'year' order by rank")
    assert [row["venue"] for row in found] == ["alpha", "beta", "uncovered"]
    covered, rest = found[:2], found[2]
    published = rest["published_total_usd"]
    assert rest["volume_usd"] == pytest.approx(published - sum(row["volume_usd"] for row in covered))
    assert (rest["share"], rest["rank"], rest["completeness"]) == (None, None, "partial")
    assert rest["source_class"] == "published"
    assert sum(row["share_of_published"] for row in found) == pytest.approx(1)
    assert sum(row["share"] for row in covered) == pytest.approx(1)


def test_nothing_is_infinite_or_not_a_number(ask):
    for mart in MARTS:
        columns = [
            row["column_name"]
            for row in ask(
                "select column_name from information_schema.columns where table_schema = 'marts' "
                f"and table_name = '{mart}' and data_type = 'DOUBLE'"
            )
        ]
        broken = " or ".join(f"not isfinite({column})" for column in columns)
        assert ask(f"select * from marts.{mart} where {broken}") == []


@pytest.mark.parametrize("cut", [MISSING_HOUR, STRESS + 3, drawn_cut("market", 32, DAYS)])
def test_rows_of_a_day_do_not_change_when_later_days_are_cut(tmp_path, raw_world, run_dbt, warehouse, cut):
    """Tiers, shares, baselines and cycles of the days before the cut, in every bit of every column."""
    world = raw_world(tmp_path / "raw")
    write_world(world, cut)
    options = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    truncated = build(run_dbt, world.root, tmp_path, *options)
    for table, day in (
        ("intermediate.int_asset_tiers__daily", "tier_date"),
        ("marts.fct_liquidation_tax", "tax_date"),
        ("marts.fct_open_interest_cycle", "open_interest_date"),
        ("marts.fct_exchange_share", "period_start"),
    ):
        days_only = " and period_type = 'day'" if day == "period_start" else ""
        query = f"select * from {table} where {day} < '{day_of(cut)}'{days_only} order by all"
        expected, found = (list(map(repr, rows(path, query))) for path in (warehouse, truncated))
        assert found == expected
        assert len(expected) > cut
    known = "select count(regime) as regimes from marts.fct_liquidation_tax where venue = 'alpha' and tier = 'all'"
    assert rows(truncated, known)[0]["regimes"] >= cut - 16

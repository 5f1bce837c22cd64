"""The reference simulator itself: what it must keep, what it must find by hand, and what the random worlds reach."""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import Any

import pytest
from random_worlds import random_world
from reference_world import Event, World, cut, largest_remainder, round_away, simulate, split
from replay_books import Book, scenario

WORLDS = 200
MICRO = 1_000_000


@functools.cache
def played(seed: int) -> World:
    book, content = random_world(seed)
    return simulate(book, content)


def events(world: World, kind: str) -> list[Event]:
    return [event for event in world.events if event.kind == kind]


def adl(**rules: Any) -> dict[str, Any]:
    return {"default": {"adl": rules}}


# --- What always holds ----------------------------------------------------------------------------------------------


def test_conserves_every_asset_after_every_step():
    for seed in range(100):
        world = played(seed)
        for step, total in enumerate(world.totals):
            assert total == world.start, f"world {seed}, step {step}"


def test_lots_sum_to_zero_after_every_step():
    for seed in range(WORLDS):
        for sums in played(seed).lot_sums:
            assert not any(sums.values()), f"world {seed}"


def test_losses_are_borne_by_fund_winners_and_everyone():
    for seed in range(WORLDS):
        for key, pool in played(seed).pools.items():
            # The round's own losses are in deficits; those on inventory add up round by round.
            assert pool.fund_paid + pool.haircuts + pool.socialised >= pool.deficits, (seed, key)
            assert pool.wallet >= 0, (seed, key)
            assert min(pool.deficits, pool.haircuts, pool.socialised, pool.gains, pool.fees) >= 0, (seed, key)


def test_wallets_add_up():
    """A wallet changes by fees, gains, deficits, what inventory realised, haircuts and what is socialised."""
    for seed in range(WORLDS):
        book, _ = random_world(seed)
        start = {(row["venue"], row["pool"]): round_away(row["balance"] * 1e6) for row in book.rows["fund"]}
        last: dict[tuple[str, str], int] = {}
        for (venue, name, step), pool in sorted(played(seed).pools.items()):
            before = last.get((venue, name), start.get((venue, name), 0))
            change = pool.fees + pool.gains - pool.deficits + pool.realised + pool.haircuts + pool.socialised
            assert pool.wallet == before + change, (seed, venue, name, step)
            last[venue, name] = pool.wallet


def test_no_winner_pays_more_than_it_earned():
    """A haircut is at most the profit of the lots that it closes, up to the unit that either is rounded by."""
    for seed in range(WORLDS):
        for event in events(played(seed), "adl"):
            assert event.lots != 0
            assert 0 <= event.haircut <= event.profit + 2, (seed, event)


def test_same_for_any_order_of_rows():
    for seed in range(20):
        book, content = random_world(seed)
        other = simulate(book.shuffled(seed), content)
        world = played(seed)
        assert other.units == world.units
        assert other.events == world.events
        assert other.path == world.path


def test_events_are_reported_as_they_happen():
    book, content = random_world(1)
    reported: list[Event] = []
    assert simulate(book, content, on_event=reported.append).events == reported


# --- Numbers --------------------------------------------------------------------------------------------------------


def test_rounds_half_away_from_zero():
    assert [round_away(x) for x in (0.5, 1.5, 2.5, -0.5, -2.5, 0.0)] == [1, 2, 3, -1, -3, 0]
    # The double below 0.5 plus 0.5 is 1 in doubles: adding before the floor would round it up.
    assert round_away(math.nextafter(0.5, 0)) == 0
    assert round_away(float(2**52 + 1)) == 2**52 + 1


def test_shares_lots_and_money():
    assert cut(-7, 1, 2) == -3
    assert split(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(7, [8, 4, 1]) == [4, 2, 1]  # quotas 4.31, 2.15, .54: the last lot goes to .54
    assert largest_remainder(1, [1, 1]) == [1, 0]


# --- By hand --------------------------------------------------------------------------------------------------------


def test_one_account_falls_and_the_fund_pays():
    """A long of 100 at 1 with 5 USD; the index falls to exp(-.1), the book is deep, the fund has 20 USD.

    native at entry: 100. At the mark .904837418 it is 90.483742, equity 5 - 9.516258 = -4.516258: in breach, without a
    backstop it goes to the book. Depth 10^12: the push of 100 USD is 10^8 * 10^12 // 10^18 = 100 ticks, half of it is
    the average: the fill is at .904837418 * exp(-.5e-10), 90.483742 to the micro-USD. The unit is flat at -4.516258,
    which the fund pays: 15.483742 are left.
    """
    book = Book()
    book.contract(depth=1e12)
    book.maker()
    book.trader("a", 100, 1.0, 5.0)
    book.add("fund", venue="v", pool="p", contract=None, balance=20.0, mode="cash_pool")
    world = simulate(book, scenario(-0.1))
    [fill] = events(world, "book")
    assert (fill.step, fill.round, fill.lots, fill.native, fill.deficit) == (0, 1, 100, 90_483_742, 4_516_258)
    assert world.units["a", "C"] == (0, {}, {})
    assert world.units["fund", "v", "p"][0] == 15_483_742
    assert world.units["maker-v", ""] == (100 * MICRO - 90_483_742, {}, {})
    pool = world.pools["v", "p", 0]
    assert (pool.deficits, pool.fund_paid, pool.haircuts, pool.socialised) == (4_516_258, 4_516_258, 0, 0)
    assert world.rounds == [2]
    row = world.path["v", "C", 0]
    assert (row.move, row.y, row.mark_tick) == (-100_000_000_000, 100, -100_000_000_100)
    assert (row.liquidated, row.open_interest) == (100 * MICRO, 0)


def halved(price: str, policy: str = "pro_rata") -> World:
    """Play the takeover of a long of 100 at half its price against two shorts and a fund of 10 USD.

    The index is 1 and falls to 1/2 (log move -ln 2, marks .5 to 12 digits). `lose`: long 100 at 1 with 20 USD, so at .5
    its E0 is 20 - 50 = -30. Backstop ratio 0 sends it to the fund: deficit 30, the fund's 10 leave a shortfall of 20.
    Part: 100 lots with 30; the order is ceil(100 * 20 / 30) = 67 lots at .5.
    """
    book = Book()
    book.contract(depth=1e12)
    book.trader("lose", 100, 1.0, 20.0)
    book.trader("win1", -60, 1.2, 100.0)
    book.trader("win2", -40, 0.9, 100.0)
    book.add("fund", venue="v", pool="p", contract=None, balance=10.0, mode="cash_pool")
    venues = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": policy, "price": price}}}
    return simulate(book, scenario(-math.log(2), venues=venues))


def test_takeover_with_deleveraging_at_the_bankruptcy_price():
    """H = 20 over R = 67 lots: .2985 USD a lot. win1 gains .7 a lot (g = 42), win2 .4 (g = 16): both stay eligible.

    pro rata of 67 by 60 and 40: 40.2 and 26.8, so 40 and 27 (the remainder .8 wins). All of H is collected:
    Hc = 20 * 67 // 67; win1 (larger slice) pays 20 * 40 // 67 = 11.940298, win2 the rest 8.059702. The fund is left with
    33 lots; its wallet is 10 - 30 + 20 = 0 (67 lots leave with cut(50, 67, 100) = 33.5, exactly their worth).
    """
    world = halved("bankruptcy")
    [taken] = events(world, "backstop")
    assert (taken.lots, taken.native, taken.deficit) == (100, 50 * MICRO, 30 * MICRO)
    first, second = events(world, "adl")
    assert (first.unit, first.lots, first.native, first.haircut) == (("win1", "C"), -40, -20 * MICRO, 11_940_298)
    assert (second.unit, second.lots, second.native, second.haircut) == (
        ("win2", "C"), -27, -13_500_000, 8_059_702,
    )  # fmt: skip
    # Against the winner: a short buys back above the mark.
    assert first.price == pytest.approx(0.5 + 11.940298 / 40)
    pool = world.pools["v", "p", 0]
    assert (pool.wallet, pool.deficits, pool.fund_paid, pool.haircuts, pool.socialised) == (
        0, 30 * MICRO, 10 * MICRO, 20 * MICRO, 0,
    )  # fmt: skip
    # cash: 10 + (E0 -30 - value 50) + 20 + received 33.5 = -16.5, the basis of 33 lots is 16.5.
    assert world.units["fund", "v", "p"] == (-16_500_000, {}, {"C": (33, 16_500_000)})
    # win1: 100 + 72 (basis of the short) - 20 - 11.940298; 20 lots are left with a third of -72.
    assert world.units["win1", "C"] == (140_059_702, {}, {"C": (-20, -24 * MICRO)})
    assert world.path["v", "C", 0].adl == 67 * MICRO
    assert world.path["v", "C", 0].open_interest == 33 * MICRO


def test_takeover_with_deleveraging_at_the_mark():
    """The same 67 lots without haircuts: the shortfall of 20 is socialised."""
    world = halved("mark")
    assert [(event.lots, event.haircut) for event in events(world, "adl")] == [(-40, 0), (-27, 0)]
    pool = world.pools["v", "p", 0]
    assert (pool.wallet, pool.fund_paid, pool.haircuts, pool.socialised) == (0, 10 * MICRO, 0, 20 * MICRO)


def test_takeover_with_a_queue():
    """profit_leverage: win1 g / bv = 42 / 72 = .583, E = 142, lev = 30 / 142; win2 16 / 36 = .444, E = 116, lev = 20 / 116.

    win1 .1232, win2 .0766: win1 gives all its 60 lots and win2 the last 7; 20 * 60 // 67 = 17.910447.
    """
    world = halved("bankruptcy", "queue")
    assert [(event.unit[0], event.lots, event.haircut, event.rank) for event in events(world, "adl")] == [
        ("win1", -60, 17_910_447, 1), ("win2", -7, 2_089_553, 2),
    ]  # fmt: skip
    assert events(world, "adl")[0].score == pytest.approx(42 / 72 * 30 / 142)


def test_flat_inverse_unit_sells_its_coins():
    """An inverse long of 100 contracts of 1 USD at 100 USD a coin with 1 coin; the index falls by half to 50.

    Basis -1 coin: the balance is 2 coins, the leg is worth -2 coins at 50 (100 / 50), so nothing is left: E = 0 and
    MM = 0 is a breach. With a depth of 10^12 USD the fill is 5e-11 below the book: 2.0000000001 coins, which rounds to
    2.00000000: the unit is flat at 0, without a deficit.
    """
    book = Book()
    book.inverse("B", 100.0)
    book.maker()
    book.add("account", account_id="a", owner_id="a", venue="v", kind="trader", margin_mode="isolated")
    book.add("collateral", account_id="a", asset="B", amount=1.0, price=100.0, contract="I")
    book.add("position", account_id="a", venue="v", contract="I", quantity=100.0, entry_price=100.0)
    world = simulate(book, scenario(-math.log(2)))
    [fill] = events(world, "book")
    assert fill.native == -200_000_000
    assert world.units["a", "I"] == (0, {}, {})
    # Further down the coin does not suffice: at 100 * exp(-1) the leg costs 2.71828183 coins, .71828183 at 36.7879441
    # are missing: 26.424112 USD, socialised because there is no fund.
    deeper = simulate(book, scenario(-1.0))
    [fill] = events(deeper, "book")
    assert (fill.native, fill.deficit) == (-271_828_183, 26_424_112)
    assert deeper.pools["v", "(none)", 0].socialised == 26_424_112
    assert deeper.sold_coins == {"B": -71_828_183}


def test_partial_close_restores_the_margin():
    """A long of 100 at 1, rate .1: after -.05 its equity is 9 - 4.877058 = 4.122942 and MM is 9.512294.

    The least fraction: E = (1 - f) * MM, f = 1 - 4.122942 / 9.512294 = .566567, so 57 of 100 lots.
    """
    book = Book()
    book.contract(depth=1e15, tiers=[(0.0, None, 0.1, 0.0)])
    book.maker()
    book.trader("a", 100, 1.0, 9.0)
    world = simulate(book, scenario(-0.05, venues={"default": {"liquidation": {"close": "partial"}}}))
    assert [event.lots for event in events(world, "book")] == [57]
    assert world.units["a", "C"][2]["C"][0] == 43


def test_a_transfer_arrives_late():
    """The top-up is asked for at step 0 and takes 2 s; the account is gone at step 1."""
    book = Book()
    book.contract(depth=1e12, tiers=[(0.0, None, 0.05, 0.0)])
    book.maker()
    book.trader("a", 100, 1.0, 8.0, owner="o")
    book.trader("b", 1, 1.0, 50.0, owner="o")
    content = scenario(
        {"all": [[0, 0.0], [1, -0.05]]},
        clock={"step_seconds": 1, "steps": 2},
        owners={"top_up_below": 2, "transfer_seconds": 2},
    )
    world = simulate(book, content)
    # need = 2 * .05 * 2 * 100 - 8 = 12 at the marks of step 0.
    [out] = events(world, "transfer_out")
    assert (out.step, out.unit, out.native) == (0, ("b", "C"), 12 * MICRO)
    [late] = events(world, "transfer_in")
    assert (late.step, late.unit, late.late) == (2, ("a", "C"), True)
    assert world.transfers_late == 1


# --- Coverage -------------------------------------------------------------------------------------------------------


def of_event(event: Event, inverse: set[tuple[str, str]]) -> set[str]:
    """Return what an event shows."""
    found = {event.kind}
    if event.kind == "adl":
        found.add(f"policy {event.policy}")
    if event.kind in {"book", "backstop", "adl"} and event.contract in inverse:
        found.add(f"inverse {event.kind}")
    if event.kind == "transfer_in":
        found.add("transfer late" if event.late else "transfer in time")
    if event.haircut:
        found.add("haircut")
    if event.kind == "book" and event.deficit:
        found.add("flat with deficit")
    return found


def features(seed: int) -> set[str]:
    """Return what happened in a world."""
    book, content = random_world(seed)
    world = played(seed)
    contracts = [row for row in book.rows["contract"] if row["contract_type"] == "inverse"]
    inverse = {(row["venue"], row["contract"]) for row in contracts}
    found = {name for name, count in world.seen.items() if count}
    for event in world.events:
        found |= of_event(event, inverse)
    fills = events(world, "book")
    whole = {
        "socialised": any(pool.socialised for pool in world.pools.values()),
        "halt": any(totals.halts for totals in world.contracts.values()),
        "in transit at the end": world.in_transit > 0,
        "square root fill": content["impact"].get("law") == "sqrt" and bool(fills),
        "both sides": {fill.lots > 0 for fill in fills} == {True, False},
        "cascade": max(world.rounds) > 3,
    }
    return found | {name for name, happened in whole.items() if happened}


EXPECTED = [
    "book", "partial", "cooldown", "backstop", "unfilled", "no room", "flat with deficit", "square root fill",
    "both sides", "cascade", "policy queue", "policy pro_rata", "policy capped_pro_rata", "policy risk_aware",
    "trigger balance", "trigger drawdown", "trigger vault_equity", "haircut", "maker gives", "several pools", "netting",
    "socialised", "halt", "halted", "rehedge", "transfer_out", "transfer late", "transfer in time",
    "in transit at the end", "coin sale", "inverse book", "inverse backstop", "inverse adl", "deleverage_cap",
    "overshoot of lots", "overshoot of haircuts", "inversion",
]  # fmt: skip


def test_every_feature_happens():
    counts: Counter[str] = Counter()
    quiet = 0
    for seed in range(WORLDS):
        counts.update(features(seed))
        quiet += not played(seed).events
    print(f"\nof {WORLDS} worlds, {quiet} quiet")
    for name in EXPECTED:
        print(f"{name:24} {counts[name]}")
    assert {name: counts[name] for name in EXPECTED if counts[name] < 3} == {}
    assert quiet < WORLDS / 4

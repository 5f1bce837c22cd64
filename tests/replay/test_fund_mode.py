"""What a pool is says what fires deleveraging, unless the scenario names the trigger."""

import math
from pathlib import Path
from typing import Any

import pytest
from replay_books import Book, only, scenario

from dagster_project.replay.engine import run_replay

# Longs of 7.5 at 100 USD are taken over at 85, 37.5 USD below nothing. The fund has 40: it can pay, and is left with 2.5,
# which is below the 6.375 that 1 % of the inventory asks for. So a cash pool closes nothing, and a vault all 750 USD of it.
CASH_POOL, VAULT = 0.0, 750.0


@pytest.mark.parametrize(
    ("of_book", "of_scenario", "trigger", "deleveraged"),
    [
        ("cash_pool", None, None, CASH_POOL),
        ("vault", None, None, VAULT),
        ("cash_pool", "vault", None, VAULT),
        ("vault", "cash_pool", None, CASH_POOL),
        ("vault", None, "balance", CASH_POOL),
        ("cash_pool", None, "vault_equity", VAULT),
    ],
)
def test_a_vault_is_called_by_its_own_breach(
    of_book: str, of_scenario: str | None, trigger: str | None, deleveraged: float, tmp_path: Path
) -> None:
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e9, tiers=[(0.0, None, 0.01, 0.0)])
    book.maker()
    book.trader("bankrupt", 7.5, 100.0, 75.0)
    book.trader("winner", -7.5, 100.0, 1000.0)
    book.add("fund", venue="v", pool="p", contract=None, balance=40.0, mode=of_book)
    rules: dict[str, Any] = {
        "liquidation": {"backstop_ratio": 0},
        "fund": {"mode": of_scenario},
        "adl": {"policy": "queue", "trigger": trigger},
    }
    result = run_replay(book.write(tmp_path / "b"), scenario(math.log(0.85), venues={"default": rules}))
    assert only(result)["adl_usd"] == deleveraged

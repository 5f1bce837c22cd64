"""What data do not say of a book: assumptions with a default, a unit and a reason each, and a file that changes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.yaml_input import YamlRefused, read_yaml

_SEE = "see docs/books.md for the keys"

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Usd = Annotated[Number, Field(ge=0, le=1e15)]
Beta = Annotated[Number, Field(ge=-100, le=100)]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}$")]
Address = Annotated[StrictStr, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shares(_Model):
    """Depth within 1 % of mid, bids and asks, over open interest, by tier."""

    major: Share = 0.001
    """Fraction. Assumed: 20 M USD of BTC (published, before 10 October 2025) against twenty billions at the largest venue."""
    mid: Share = 0.005
    """Fraction. Assumed: smaller assets have less open interest for the depth that a market maker shows."""
    tail: Share = 0.005
    """Fraction. Assumed, as mid."""


class Betas(_Model):
    """Log return of a contract's index per unit of log return of the shock's driver."""

    major: Beta = 1.0
    """Ratio. No table of the snapshot holds daily prices, so nothing is fitted: 1 is the driver itself."""
    mid: Beta = 1.0
    """Ratio, as major."""
    tail: Beta = 1.0
    """Ratio, as major."""
    assets: dict[Name, Beta] = Field(default_factory=dict, max_length=10_000)
    """Ratio by base asset; wins over the tier's."""


class Depth(_Model):
    """How much forced flow a venue's book takes; `depth` of the book is resting depth times `refill_multiple`."""

    refill_multiple: Annotated[Number, Field(gt=0, le=1e6)] = 34.0
    """Multiple. Assumed: orders are replaced within the minutes of a cascade. On 10 October 2025 5.39 B USD of BTC were forced
    through books of some 20 M USD within 1 %, while BTC fell by 14.5 % (published): 5.39 B / 0.157 over 20 M / 2 / 0.01 is 34.
    Too much if the 20 M are one venue's, too little if others sold as well. It decides how far prices fall: try several; 1 is the
    resting book alone, on which most falls run to their end."""
    recovery: Annotated[Number, Field(ge=0, le=1e6)] = 0.004
    """1/s. Assumed: depth that a volatile step took away is back by half in three minutes."""
    floor: Share = 0.25
    """Fraction of depth that always remains. Assumed."""
    share_of_open_interest: Shares = Shares()
    """Where depth is not known."""


class VenueFunds(_Model):
    """Balances of insurance funds."""

    usd: dict[Name, Usd] = Field(default_factory=dict, max_length=1000)
    """USD by venue, as one pool for every contract; wins over what the snapshot knows."""
    share_of_open_interest: Share = 0.01
    """Fraction of the venue's open interest, where no balance is known. Assumed, of the order of Binance's
    1.23 B USD before 10 October 2025."""
    max_age_days: Annotated[Number, Field(ge=0, le=3650)] = 8.0
    """Days. Oldest balance that is taken: the slowest feed is weekly."""
    vaults: tuple[Name, ...] = ("hyperliquid",)
    """Venues whose fund is a vault that takes positions over."""


class InferParameters(_Model):
    """Parameters of a book inferred from open interest."""

    lot_usd: Annotated[Number, Field(ge=0.01, le=1e6)] = 1.0
    """USD. A lot is the largest power of ten of base units worth at most this: far below a cohort."""
    hedged_share: Share = 0.0
    """Fraction of each contract's open interest that owners hold long here and short at another venue. No venue publishes it;
    0 claims nothing and shows no lost hedge legs."""
    hedged_leverage: Annotated[Number, Field(ge=1, le=100)] = 2.0
    """Multiple of each hedged leg, at most half of what maintenance allows. The mix of the map gives hedgers 2."""
    max_depth_age_hours: Annotated[Number, Field(ge=1, le=720)] = 24.0
    """Hours. Oldest hour of fct_liquidity that is taken."""
    beta: Betas = Betas()
    """Betas of contracts."""
    depth: Depth = Depth()
    """Depth of books."""
    fund: VenueFunds = VenueFunds()
    """Insurance funds."""


class CoinDepth(Depth):
    """Depth of Hyperliquid's books, of which an account snapshot says nothing."""

    depth_1pct_usd: dict[Name, Annotated[Number, Field(gt=0, le=1e12)]] = Field(default_factory=dict, max_length=10_000)
    """USD by coin: bids and asks within 1 % of mid; wins over the share of open interest."""


class HlpFund(_Model):
    """The vault that takes liquidations over."""

    balance_usd: Usd | None = None
    """USD. Without it and without an address the vault is empty."""
    address: Address | None = None
    """The account whose value is the balance; its own positions are left to the maker."""

    @model_validator(mode="after")
    def _one_of_two(self) -> HlpFund:
        if self.balance_usd is not None and self.address is not None:
            raise ValueError("give balance_usd or address, not both")
        return self


class Tiers(_Model):
    """Base assets by tier; what neither list names is tail."""

    major: tuple[Name, ...] = ("BTC", "ETH")
    """The two deepest markets."""
    mid: tuple[Name, ...] = (
        "SOL",
        "XRP",
        "BNB",
        "DOGE",
        "ADA",
        "HYPE",
        "LINK",
        "AVAX",
        "SUI",
        "LTC",
        "TRX",
        "TON",
        "DOT",
        "BCH",
    )
    """Large capitalisation and liquid; change it with the day of the snapshot."""


class HyperliquidParameters(_Model):
    """Parameters of a book made from account states of Hyperliquid."""

    max_price_gap: Annotated[Number, Field(gt=0, le=1)] = 0.05
    """Fraction. Farthest that the price in a state may lie from the book's: beyond it the state is of another time."""
    tiers: Tiers = Tiers()
    """Tiers of base assets."""
    vaults: tuple[Address, ...] = ()
    """Accounts that are vaults (kind `vault`)."""
    beta: Betas = Betas()
    """Betas of contracts."""
    depth: CoinDepth = CoinDepth()
    """Depth of books."""
    fund: HlpFund = HlpFund()
    """The liquidator vault."""


Model = TypeVar("Model", bound=BaseModel)


def read_parameters(model: type[Model], path: Path | None) -> tuple[Model | None, list[Fault]]:
    """Read a parameter file.

    Args:
        model: what the file is checked against.
        path: YAML file; None: every default.

    Returns:
        The parameters (None if refused) and every fault found.
    """
    if path is None:
        return model(), []
    where = f"parameters {path.name}"
    try:
        raw = read_yaml(path)
    except YamlRefused as refused:
        return None, [Fault(where, "", str(refused), _SEE)]
    if not isinstance(raw, dict):
        return None, [Fault(where, "", "not a mapping of keys to values", _SEE)]
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        return None, [
            Fault(
                where,
                ".".join(str(step) for step in item["loc"]),
                _said(item["type"], item["msg"], item["input"]),
                _SEE,
            )
            for item in error.errors(include_url=False, include_context=False)
        ]


def _said(kind: str, message: str, given: object) -> str:
    if kind == "extra_forbidden":
        return "unknown key"
    return f"{message}, given {printable(repr(given), 60)}"

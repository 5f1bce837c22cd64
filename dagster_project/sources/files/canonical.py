"""What a declared file is to provide: the columns of each dataset, what they count, and what makes a row the same as another.

The columns and their types are those of ``schemas.raw``; nothing is listed twice that the models say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from schemas.raw import DECLARED, model_of

ENTITIES = tuple(name.removeprefix("files_") for name in DECLARED)

PROVENANCE = frozenset({"venue", "date", "source", "source_class", "completeness", "ingested_at", "landing_path"})
"""Columns that no spec maps: they come from the spec's own keys, or from landing."""

Kind = Literal["text", "number", "integer"]
_KINDS: Mapping[str, Kind] = {"string": "text", "float64": "number", "int64": "integer"}

SQL_TYPES: Mapping[Kind, str] = {"text": "VARCHAR", "number": "DOUBLE", "integer": "BIGINT"}

Unit = Literal["fraction", "percent", "bps", "thousand", "million", "billion"]
_RATIOS: Mapping[Unit, int] = {"fraction": 0, "percent": -2, "bps": -4}
_AMOUNTS: Mapping[Unit, int] = {"thousand": 3, "million": 6, "billion": 9}
_IN_BPS: Mapping[Unit, int] = {"fraction": 4, "percent": 2, "bps": 0}
"""Powers of ten to the canonical unit."""

_FRACTIONS = frozenset({"funding_rate", "maintenance_rate"})
_BASIS_POINTS = frozenset({"band_bps"})
_NO_UNIT = frozenset({"max_leverage"})

PERIOD_COLUMNS: Mapping[str, str] = {"klines": "interval_seconds", "liquidations": "period_seconds"}
"""Where the length of a bar or of a sum's period goes."""

NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "klines": ("venue", "venue_symbol", "price_kind", "interval_seconds", "open_time"),
    "open_interest": ("venue", "venue_symbol", "event_at"),
    "liquidations": ("venue", "venue_symbol", "event_at", "period_seconds", "liquidated_side"),
    "funding": ("venue", "venue_symbol", "date_trunc('second', event_at)"),
    "adl": ("venue", "venue_symbol", "event_at"),
    "depth": ("venue", "venue_symbol", "event_at", "side", "band_bps"),
    "leverage_tiers": ("venue", "venue_symbol", "event_at", "tier_number"),
}
"""What tells a dataset's rows apart, as staging keeps one row of each; single liquidations (period 0) are all kept."""


@dataclass(frozen=True)
class Target:
    """One canonical column.

    Args:
        kind: How its values are read.
        is_required: No value, no row.
        words: The values it may have; empty where it is free.
    """

    kind: Kind
    is_required: bool
    words: tuple[str, ...]


@lru_cache
def targets(dataset: str) -> Mapping[str, Target]:
    """Canonical columns of a dataset that a spec provides, without its time, in the model's order.

    Raises:
        KeyError: No such dataset.
    """
    found: dict[str, Target] = {}
    for name, column in model_of(f"files_{dataset}").to_schema().columns.items():
        if name in PROVENANCE or name == time_column(dataset):
            continue
        words: tuple[str, ...] = ()
        for check in column.checks:
            if check.name == "isin":
                words = tuple(check.statistics["allowed_values"])
        found[name] = Target(_KINDS[str(column.dtype.type).removeprefix("!")], not column.nullable, words)
    return found


def time_column(dataset: str) -> str:
    """The canonical column that holds the row's time."""
    return "open_time" if dataset == "klines" else "event_at"


def units_of(column: str, kind: Kind) -> Mapping[Unit, int]:
    """The named units that a canonical column may come in, each with the power of ten that makes its values canonical."""
    if kind != "number" or column in _NO_UNIT:
        return {}
    if column in _FRACTIONS:
        return _RATIOS
    return _IN_BPS if column in _BASIS_POINTS else _AMOUNTS

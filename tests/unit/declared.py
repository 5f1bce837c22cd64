"""Folders with declared files, written by hand, and the rows that Delever makes of them."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.lib.duck import connect
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources import files
from dagster_project.sources.dataset import Intake, build_raw

CANDLES: dict[str, Any] = {
    "dataset": "klines",
    "path": "bars.csv",
    "format": "csv",
    "source": "my bars",
    "licence": "CC0",
    "source_class": "measured",
    "completeness": "complete",
    "venue": {"column": "exchange"},
    "time": {"column": "when", "unit": "ms"},
    "interval_seconds": 3600,
    "columns": {
        "venue_symbol": "pair",
        "base_asset": {"column": "pair", "before": "-"},
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "base_quantity": {"column": "vol_k", "scale": 1000},
    },
    "constants": {"contract_type": "linear", "price_kind": "last"},
}
HEADER = "when,exchange,pair,o,h,l,c,vol_k\n"
BAR = "1760130000000,Binance,BTC-USDT,10,12,9,11,1.5\n"
"""The hour from 21:00 UTC on 10 October 2025."""

FUNDING: dict[str, Any] = {
    "dataset": "funding",
    "path": "rates.csv",
    "format": "csv",
    "source": "my rates",
    "licence": "CC0",
    "source_class": "measured",
    "venue": {"value": "okx"},
    "time": {"column": "at"},
    "columns": {"venue_symbol": "symbol", "base_asset": "symbol", "funding_rate": "rate"},
}

LIQUIDATIONS: dict[str, Any] = {
    "dataset": "liquidations",
    "path": "liq.csv",
    "format": "csv",
    "source": "liq",
    "licence": "CC0",
    "source_class": "measured",
    "venue": {"value": "market"},
    "time": {"column": "day"},
    "columns": {},
    "unpivot": {"key": "liquidated_side", "value": "notional_usd", "columns": {"long": "l", "short": "s"}},
    "constants": {"venue_symbol": "BTC", "base_asset": "BTC", "contract_type": "linear", "period_seconds": 86400},
}


def declare(folder: Path, spec: Mapping[str, Any], name: str = "bars", **content: str | bytes) -> Path:
    """Write a spec and files; in a file's keyword, ``__`` stands for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.delever.yaml").write_text(yaml.safe_dump(dict(spec)))
    for file, text in content.items():
        (folder / file.replace("__", ".")).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def built(home: Home, folder: Path, entity: str = "klines") -> Intake:
    """Land a folder and make the raw rows of one dataset."""
    landing = Landing(home.landing)
    for dataset, arrival in files.arrivals(folder):
        landing.land("declared", dataset, "files", [arrival])
    dataset = next(item for item in files.DATASETS if item.name == f"files_{entity}")
    return build_raw(dataset, home, date(2025, 1, 1), date(2026, 12, 31))


def rows_of(home: Home, folder: Path, entity: str = "klines") -> list[dict[str, Any]]:
    """Raw rows that a folder comes to."""
    built(home, folder, entity)
    with connect() as connection:
        relation = connection.sql(RawStore(home.raw, home.scratch).relation(f"files_{entity}"))
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def quarantine_of(home: Home) -> list[dict[str, Any]]:
    """What was set aside, in the order of the records."""
    with connect() as connection:
        relation = connection.sql(
            f"SELECT * FROM read_parquet('{home.raw}/quarantine/dataset=files_*/*/*.parquet', hive_partitioning=true) "
            "ORDER BY landing_path, record"
        )
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def refused(folder: Path) -> str:
    """The text with which a folder is refused."""
    with pytest.raises((DataError, UsageError)) as caught:
        list(files.arrivals(folder))
    return str(caught.value)

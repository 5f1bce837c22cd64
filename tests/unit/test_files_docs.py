"""The examples of ``docs/files_source.md`` are run as they stand."""

import re
from pathlib import Path

from dagster_project.lib.home import PROJECT_ROOT
from dagster_project.sources import files
from dagster_project.sources.files.spec import Column, Csv, FileSpec, Interval, Time, Unpivot, Venue

TEXT = (PROJECT_ROOT / "docs" / "files_source.md").read_text()
BLOCKS = re.findall(r"^`([^`\n]+\.(?:csv|json|yaml))`\n```\w+\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_examples_fit_and_mean_what_they_say(tmp_path: Path) -> None:
    assert len(BLOCKS) == 10
    for name, content in BLOCKS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    report = files.explain(tmp_path)
    report.require_fit()
    found = {file.name: {column.name: column.values for column in file.columns} for file in report.files}
    assert all(file.usable == file.rows == 2 or file.usable == file.rows == 4 for file in report.files)
    assert found["candles.csv"]["open_time"] == "2025-10-10 21:00 to 2025-10-10 22:00 UTC"
    assert (found["candles.csv"]["low"], found["candles.csv"]["base_quantity"]) == (
        "101516.5 to 110900",
        "31900 to 85400",
    )
    assert found["candles.csv"]["venue"] == "binance"
    assert found["funding.csv"]["funding_rate"] == "8e-05 to 0.0001"
    assert found["funding.csv"]["event_at"] == "2025-10-10 00:00 to 2025-10-10 00:00 UTC"
    assert found["orders.json"]["event_at"] == "2025-10-10 21:20:00.123 to 2025-10-10 21:20:01.456 UTC"
    assert (found["orders.json"]["base_asset"], found["orders.json"]["liquidated_side"]) == ("ETH", "long, short")
    bars = found["bars/BTCUSDT-1h-2025-10.csv"]
    assert (bars["venue_symbol"], bars["base_asset"], bars["interval_seconds"]) == ("BTCUSDT", "BTC", "3600")
    assert found["liquidations.csv"]["notional_usd"] == "95100000 to 1050500000"


def test_every_key_is_described() -> None:
    for model in (FileSpec, Column, Time, Venue, Unpivot, Csv, Interval):
        for key in model.model_fields:
            # The constant of an interval is written as the interval itself.
            assert f"`{key}`" in TEXT or f"{key}:" in TEXT or (model, key) == (Interval, "seconds"), (
                model.__name__,
                key,
            )

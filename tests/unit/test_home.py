"""One home holds one profile, however its assets are made."""

import dagster as dg
import pytest

from dagster_project.defs.ingest.landing import landing_files, landing_sample
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.resources import HomeResource


def test_profile_is_kept_and_another_is_refused(home: Home) -> None:
    home.claim("files")
    home.claim("files")
    with pytest.raises(UsageError, match="holds the profile 'files', not 'demo'"):
        home.claim("demo")


def test_sample_is_not_landed_beside_real_files(home: Home) -> None:
    home.claim("files")
    result = dg.materialize(
        [landing_sample], resources={"home": HomeResource(root=str(home.root))}, raise_on_error=False
    )
    assert not result.success
    assert not (home.landing / "binance").exists()


def test_real_files_are_not_landed_beside_the_sample(home: Home) -> None:
    home.claim("demo")
    inbox = home.root / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("when,rate\n2025-10-10 00:00:00,0.1\n")
    (inbox / "a.delever.yaml").write_text(
        "dataset: funding\npath: a.csv\nformat: csv\nsource: mine\nlicence: CC0\nsource_class: measured\n"
        "venue: {value: okx}\ntime: {column: when}\ncolumns: {funding_rate: rate}\n"
        "constants: {venue_symbol: BTC, base_asset: BTC}\n"
    )
    result = dg.materialize(
        [landing_files],
        resources={"home": HomeResource(root=str(home.root))},
        run_config={"ops": {"landing__files": {"config": {"folder": str(inbox)}}}},
        raise_on_error=False,
    )
    assert not result.success
    assert not (home.landing / "declared").exists()

"""Nothing of these tests leaves this machine or stays on it."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("DELEVER_LIMITS", str(tmp_path / "limits"))
    monkeypatch.setenv("DELEVER_RETRY_SECONDS", "0.01")
    # A test that forgets to name its server must not reach a venue.
    for name in ("BINANCE_STREAM", "BYBIT_STREAM", "OKX_STREAM", "BYBIT"):
        monkeypatch.setenv(f"DELEVER_URL_{name}", "http://127.0.0.1:9/none")

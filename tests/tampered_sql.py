"""A statement of the replay with a fault in it, as tests of what notices faults need."""

from __future__ import annotations

import pytest

from dagster_project.replay import sqlfiles


def tamper(monkeypatch: pytest.MonkeyPatch, file: str, healthy: str, broken: str) -> None:
    """Put ``broken`` where ``file`` has ``healthy``, which it has once."""
    original = sqlfiles.load_sql
    assert original(file).count(healthy) == 1
    monkeypatch.setattr(
        sqlfiles,
        "load_sql",
        lambda name: original(name).replace(healthy, broken) if name == file else original(name),
    )

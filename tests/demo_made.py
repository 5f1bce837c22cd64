"""One generated sample for a whole test run; workers of pytest-xdist share it, the first to come generates it."""

import os
import time
from pathlib import Path

import pytest

from dagster_project.sources.demo import generate_sample


def shared_sample(factory: pytest.TempPathFactory) -> Path:
    """The sample's folder, which no test may change."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, lock = shared / "demo_sample", shared / "demo_sample.lock"
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        deadline = time.monotonic() + 240
        while not out.exists():  # generate_sample renames at the end, so existence means completeness
            assert time.monotonic() < deadline, "another worker never finished the sample"
            time.sleep(0.2)
        return out
    return generate_sample(out).path

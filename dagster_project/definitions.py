"""The code location: everything under ``defs/`` is found and loaded; nothing is defined here."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules, sensors and resources of Delever."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)

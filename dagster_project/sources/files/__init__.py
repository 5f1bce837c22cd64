"""Any folder of CSV, JSON or Parquet as a source, declared by small YAML files (``*.delever.yaml``).

What belongs here: reading foreign files, and saying why one cannot be read. What does not: landing, raw and quarantine, which
treat these rows like a venue's own.
"""

from dagster_project.sources.files.arrive import arrivals, check
from dagster_project.sources.files.canonical import ENTITIES
from dagster_project.sources.files.examination import Checked, examine
from dagster_project.sources.files.folder import SHIPPED_SPECS, SUFFIX, DeclaredFile, declared_files, load_spec
from dagster_project.sources.files.landed import DATASETS, read_declared
from dagster_project.sources.files.report import Report, explain
from dagster_project.sources.files.screen import render
from dagster_project.sources.files.spec import FileSpec

__all__ = [
    "DATASETS",
    "ENTITIES",
    "SHIPPED_SPECS",
    "SUFFIX",
    "Checked",
    "DeclaredFile",
    "FileSpec",
    "Report",
    "arrivals",
    "check",
    "declared_files",
    "examine",
    "explain",
    "load_spec",
    "read_declared",
    "render",
]

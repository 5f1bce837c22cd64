"""Stands for dbt's ``target`` while sqlfluff renders the models: by-day models render as on a first run, whole."""

type = "duckdb"  # noqa: A001 - dbt's own name

"""The cascade replay: what a shock does to a book of positions, computed inside DuckDB.

`dagster_project.replay.engine.run_replay` is the entry point. Python reads the scenario, checks the book and drives the
steps; every computation over accounts, positions or contracts is a statement in `sql/`.
"""

"""What every part stands on: places on disk, errors, DuckDB connections, landing and raw stores.

What belongs here: code that knows files and DuckDB but no venue, no Dagster and no dbt. Imports go from ``defs`` to
``sources`` and ``replay`` to ``lib``, never back.
"""

"""What every part stands on: places on disk, errors, DuckDB connections, landing and raw stores.

What belongs here: code that knows files, DuckDB and the tools around them, but no venue and no asset. Imports go from ``defs`` to
``sources`` and ``replay`` to ``lib``, never back.
"""

"""Where data comes from: one module per venue or kind of source.

What belongs here: how a source's files look and how they become typed raw rows in the source's own meaning.
What does not: unit conversion (dbt staging), scheduling (``defs/ingest``).
"""

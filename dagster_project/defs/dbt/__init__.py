"""dbt models as assets."""

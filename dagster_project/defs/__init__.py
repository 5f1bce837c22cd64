"""Definitions that Dagster loads: assets, checks, jobs, schedules, sensors, resources.

Logic lives outside, in ``lib``, ``sources`` and ``replay``.
"""

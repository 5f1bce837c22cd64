"""Faults of venues, networks and files, run against every connector."""

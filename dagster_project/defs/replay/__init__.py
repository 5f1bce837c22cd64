"""The replay as assets."""

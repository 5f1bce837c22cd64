"""Fetching: how bytes come from a venue into landing. Knows HTTP, limits, paging and archives; knows no venue."""

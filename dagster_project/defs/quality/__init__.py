"""Checks: structure of raw and marts, and the publish gate."""

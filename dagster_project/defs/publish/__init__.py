"""The published snapshot."""

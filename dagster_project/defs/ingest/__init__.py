"""Landing and raw: from sources to typed Parquet."""

"""Names of insurance pools that venues describe by the contracts that they cover."""


def named_pools(pools: str, within: str) -> str:
    """SQL that gives each pool of an answer a name that a new listing does not change.

    A pool of one contract has its name. Of those that cover several, the one that covers most is ``shared``, and another is
    ``<first contract>+``. What remains: a smaller pool changes its name when a contract joins that sorts before its
    others, and ``shared`` is another pool if one ever outgrows it.

    Args:
        pools: SQL of pools with the columns ``file_number`` and ``symbols`` (a list; empty where the venue names none).
        within: Columns, besides the file, within which pools are told apart: a coin, or nothing.

    Returns:
        SQL of the same rows with ``pool_name`` and the sorted ``covered_symbols`` (null where none are named).
    """
    keys = ", ".join(["file_number", *filter(None, [within])])
    return f"""
        SELECT *, CASE WHEN len(symbols) = 1 THEN symbols[1]
            WHEN row_number() OVER (PARTITION BY {keys} ORDER BY len(symbols) DESC, list_min(symbols)) = 1
              OR coalesce(len(symbols), 0) = 0 THEN 'shared'
            ELSE list_min(symbols) || '+' END AS pool_name,
          nullif(array_to_string(list_sort(symbols), ','), '') AS covered_symbols
        FROM ({pools})"""

"""Names of insurance pools. Venues name none; they list the contracts that a pool covers, and the list grows.

A series is a pool under one name, so the name must outlive the list:

- a pool of one contract has that contract's name;
- a pool of more than half of the contracts that the answer names (of the coin, where a pool is of one coin) is ``shared``, and so
  is one without a list that is alone;
- any other has the name of the first of its contracts in the alphabet. Without a list it has none.

What a name cannot outlive: a contract that joins a smaller pool and sorts before all others in it, or the first one that leaves;
a pool of one contract that becomes the shared one; and the share passing one half.
"""


def pool_name(symbols: str, within: str) -> str:
    """SQL of a pool's name; ``symbols`` is SQL of a list, ``within`` of the columns that all pools of an answer share."""
    # Distinct, since an answer may say a pool twice.
    lists = f"list(coalesce({symbols}, [])) OVER (PARTITION BY {within})"
    return f"""CASE
          WHEN len({symbols}) = 1 THEN list_min({symbols})
          WHEN len(list_distinct({lists})) = 1 OR 2 * len({symbols}) > len(list_distinct(flatten({lists}))) THEN 'shared'
          ELSE list_min({symbols})
        END"""

"""Days at which the data of a world end, drawn by chance: rows of the days before must not change.

The draw is the same in every run and in every worker of one; ``DELEVER_CUTS_SEED`` makes another one.
"""

import os
import random

DEFAULT_SEED = 20251010
"""The day of the event, so that nobody looked for a seed that passes."""


def drawn_cut(world: str, first: int, end: int) -> int:
    """Number of a day of a world, from ``first`` on and before ``end``."""
    seed = os.environ.get("DELEVER_CUTS_SEED") or DEFAULT_SEED
    return random.Random(f"{seed} {world}").randrange(first, end)  # noqa: S311 - no secret

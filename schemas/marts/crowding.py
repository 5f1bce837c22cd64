"""Marts of crowding and liquidity: basis, depth, early warning."""

from schemas.marts.base import Mart

MODELS: dict[str, type[Mart]] = {}

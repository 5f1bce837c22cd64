"""Marts of what stands behind a liquidation: auto-deleveraging, insurance funds, liquidation levels."""

from schemas.marts.base import Mart

MODELS: dict[str, type[Mart]] = {}

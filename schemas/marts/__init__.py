"""Structure of the marts, as readers may rely on it: one model per published table.

dbt's contracts enforce the same names and types while a table is built; these models look at what was built, before it is
published, and add the value ranges. A test fails when the two drift apart.
"""

from schemas.marts import crowding, event, market, operations, reconciliation, reference, structure
from schemas.marts.base import Mart

MART_MODELS: dict[str, type[Mart]] = {
    **reference.MODELS,
    **market.MODELS,
    **event.MODELS,
    **crowding.MODELS,
    **structure.MODELS,
    **reconciliation.MODELS,
    **operations.MODELS,
}
"""All marts, by table."""

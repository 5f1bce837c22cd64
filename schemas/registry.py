"""Which model guards which table: the one list that checks, drift tests and the raw store read."""

import pandera.ibis as pa

from schemas.marts import MART_MODELS
from schemas.raw import DECLARED, ENTITIES, OPERATIONS

MODELS: dict[str, type[pa.DataFrameModel]] = {
    **{f"raw.{name}": model for name, model in {**ENTITIES, **DECLARED, **OPERATIONS}.items()},
    **{f"marts.{name}": model for name, model in MART_MODELS.items()},
}

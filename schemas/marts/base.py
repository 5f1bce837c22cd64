"""What every mart has, and the values that columns of several marts may take."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.raw import COMPLETENESS, SOURCE_CLASSES

VOLUME_BASES = ("quote_reported", "derived_from_base", "mixed")
TIERS = ("major", "mid", "tail")


class Mart(pa.DataFrameModel):
    """Columns of every mart: how complete its rows are, and from what they come."""

    completeness: dt.String = pa.Field(nullable=False, isin=COMPLETENESS)
    source_class: dt.String = pa.Field(nullable=False, isin=SOURCE_CLASSES)

    class Config:
        """A column that the model does not name is an error: readers rely on the list."""

        strict = True

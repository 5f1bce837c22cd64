"""A row whose columns are computed when they are asked for: some need a year of files, and others two days."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class LazyRow(Mapping[str, Any]):
    """Columns by name, each computed anew when it is read."""

    def __init__(self, columns: Mapping[str, Callable[[], Any]]) -> None:
        """Keep how to compute each column."""
        self.columns = columns

    def __getitem__(self, column: str) -> Any:
        """Compute a column."""
        return self.columns[column]()

    def __iter__(self) -> Iterator[str]:
        """Names of the columns."""
        return iter(self.columns)

    def __len__(self) -> int:
        """How many columns."""
        return len(self.columns)

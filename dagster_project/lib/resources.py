"""The home as a Dagster resource, and user errors as Dagster failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dagster_project.lib.errors import DeleverError
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore


class HomeResource(dg.ConfigurableResource):
    """Where this installation keeps its state.

    Args:
        root: Absolute path of the home.
    """

    root: str

    def get(self) -> Home:
        """The home, with its folders and the raw layer's zero-row files in place."""
        home = Home(Path(self.root))
        home.prepare()
        RawStore(home.raw, home.scratch).prepare()
        return home


@contextmanager
def failures_for_users() -> Iterator[None]:
    """Turn an error that a user can act on into a failure that shows its text and is not retried."""
    try:
        yield
    except DeleverError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error

"""Stands for dbt's ``adapter`` while sqlfluff renders the models: each dispatched macro becomes SQL of the same shape.

sqlfluff's jinja templater knows ``ref`` and ``source`` but not ``adapter`` (and its dbt templater has no release for
sqlfluff 4), so without this no model that uses a dispatched macro can be linted. dbt itself never sees this file.
"""

from collections.abc import Callable


def dispatch(macro: str, package: str) -> Callable[..., str]:
    """A function call of the macro's name, or for ``asof_join`` a query: what the linter needs to parse."""
    del package

    def render(*arguments: object) -> str:
        if macro == "asof_join":
            return f"select {arguments[0]}.* from {arguments[0]} cross join {arguments[1]}"
        if macro == "period_start":
            return f"date_trunc('{arguments[0]}', {arguments[1]})"
        return f"{macro}({', '.join(str(part) for part in arguments if isinstance(part, str))})"

    return render

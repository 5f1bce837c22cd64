"""Resources of the code location, apart from the assets: a ``@dg.definitions`` function hides all else in its module."""

import dagster as dg
from dagster_dbt import DbtCliResource

from dagster_project.lib.dbt_project import DBT_PROJECT
from dagster_project.lib.home import Home
from dagster_project.lib.progress import progress_logger
from dagster_project.lib.resources import HomeResource


@dg.definitions
def resources() -> dg.Definitions:
    """The home, dbt's command line, and the executor.

    Steps run in the run's own process: a step process spends about three seconds on imports, which is more than most of
    the work it would do, and the warehouse has one writer anyway.
    """
    return dg.Definitions(
        resources={
            "home": HomeResource(root=str(Home.from_env().root)),
            "dbt": DbtCliResource(project_dir=DBT_PROJECT),
        },
        executor=dg.in_process_executor,
        loggers={"console": dg.colored_console_logger, "progress": progress_logger},
    )

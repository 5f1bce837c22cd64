"""Evaluate the gate with Great Expectations over a frame of aggregates, and write its Data Docs.

Great Expectations has no DuckDB source, so DuckDB computes each figure and the library judges a frame of one row a mart.
Importing the library costs about ten seconds, hence it is imported here inside the functions and nowhere else.
"""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from schemas.expectations.gate import Rule

# Must be set before the first import: the library reports usage unless told not to.
os.environ["GX_ANALYTICS_ENABLED"] = "false"


@dataclass(frozen=True)
class Verdict:
    """The judgement on one mart."""

    mart: str
    passed: bool
    figures: Mapping[str, float | None]
    broken: Sequence[str]


def evaluate(connection: duckdb.DuckDBPyConnection, gate: Mapping[str, Sequence[Rule]], docs: Path) -> list[Verdict]:
    """Judge every mart of the gate.

    Args:
        connection: A database with the schema ``marts``.
        gate: Rules by mart.
        docs: Folder for the Data Docs pages.

    Returns:
        One verdict a mart, in the gate's order.
    """
    with warnings.catch_warnings():
        # Deprecations inside the library and its dependencies are not ours to mend.
        warnings.simplefilter("ignore")
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        import great_expectations as gx  # noqa: PLC0415
        from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
        for name in list(context.get_site_names()):
            context.delete_data_docs_site(name)
        context.add_data_docs_site(
            site_name="gate",
            site_config={
                "class_name": "SiteBuilder",
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": store,
            },
        )
        source = context.data_sources.add_pandas("aggregates")
        verdicts = [_judge(gx, context, source, connection, mart, rules) for mart, rules in gate.items()]
        context.build_data_docs()
    return verdicts


def _judge(
    gx: Any,  # noqa: ANN401
    context: Any,  # noqa: ANN401
    source: Any,  # noqa: ANN401
    connection: duckdb.DuckDBPyConnection,
    mart: str,
    rules: Sequence[Rule],
) -> Verdict:
    figures = ", ".join(f"CAST({rule.sql} AS DOUBLE) AS {rule.name}" for rule in rules)
    frame = connection.execute(f"SELECT {figures} FROM marts.{mart}").df()
    suite = context.suites.add(gx.ExpectationSuite(name=mart))
    for rule in rules:
        suite.add_expectation(
            gx.expectations.ExpectColumnValuesToBeBetween(
                column=rule.name, min_value=rule.low, max_value=rule.high, meta={"notes": f"Outside: {rule.why}."}
            )
        )
        if rule.required:
            suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=rule.name))
    batch = source.add_dataframe_asset(mart).add_batch_definition_whole_dataframe("now")
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=mart, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name=mart, validation_definitions=[definition], result_format="SUMMARY")
    )
    result = checkpoint.run(batch_parameters={"dataframe": frame})
    values = {name: (None if value != value else float(value)) for name, value in frame.iloc[0].items()}  # noqa: PLR0124
    why = {rule.name: rule.why for rule in rules}
    broken = [
        f"{one.expectation_config.kwargs['column']} = {values[one.expectation_config.kwargs['column']]}: "
        f"{why[one.expectation_config.kwargs['column']]}"
        for run in result.run_results.values()
        for one in run.results
        if not one.success
    ]
    return Verdict(mart=mart, passed=bool(result.success), figures=values, broken=broken)

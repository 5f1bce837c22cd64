"""dbt models, seeds and tests as assets and checks. One definition: nothing here is partitioned yet."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from dagster_project.lib.dbt_project import DBT_PROJECT, ensure_manifest, set_dbt_environment
from dagster_project.lib.home import Home
from dagster_project.lib.resources import HomeResource

WRITER_POOL = "duckdb_writer"
"""Every op that opens the warehouse file carries this pool of one."""

# `manifest` evaluates env_var() of the profile and the sources; which home it is does not matter for the graph.
set_dbt_environment(Home.from_env())


class LayerTranslator(DagsterDbtTranslator):
    """Asset keys ``<layer>/<model>``, groups by layer, owners and kinds from the project."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:  # noqa: ANN401
        """The spec that dagster-dbt would make, with this project's key, group and kinds."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        properties = self.get_resource_props(manifest, unique_id)
        if properties["resource_type"] == "source":
            return spec
        layer = properties.get("schema", "seeds")
        return spec.replace_attributes(
            key=dg.AssetKey([layer, properties["name"]]), group_name=layer, kinds={"dbt", "duckdb"}
        )


@dbt_assets(
    manifest=ensure_manifest(),
    project=DBT_PROJECT,
    dagster_dbt_translator=LayerTranslator(),
    pool=WRITER_POOL,
    name="dbt_models",
)
def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, home: HomeResource) -> Iterator[Any]:
    """Seeds, staging, intermediate, marts and their tests, in dbt's own order."""
    set_dbt_environment(home.get())
    # Unit tests prove the code, not the data: they run in the test suite.
    command = ["build", "--exclude-resource-type", "unit_test"]
    yield from dbt.cli(command, context=context).stream().fetch_row_counts().fetch_column_metadata()

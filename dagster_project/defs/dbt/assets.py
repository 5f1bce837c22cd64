"""dbt models, seeds and tests as assets and checks. One definition: nothing here is partitioned yet."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from dagster_project.defs.ingest.keys import raw_key
from dagster_project.lib.dbt_project import DBT_PROJECT, ensure_manifest, set_dbt_environment, set_models_digest
from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.lib.raw import reading
from dagster_project.lib.resources import HomeResource
from dagster_project.sources.registry import FEEDS
from schemas.raw import ENTITIES

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
        spec = spec.replace_attributes(deps=[one for dep in spec.deps for one in _feeds_of(dep)])
        layer = properties.get("schema", "seeds")
        return spec.replace_attributes(
            key=dg.AssetKey([layer, properties["name"]]), group_name=layer, kinds={"dbt", "duckdb"}
        )


def _feeds_of(dep: dg.AssetDep) -> list[dg.AssetDep]:
    """The raw assets behind dbt's source of an entity: every feed's. Other dependencies are as they are."""
    layer, *name = dep.asset_key.path
    if layer != "raw" or len(name) != 1 or name[0] not in ENTITIES:
        return [dep]
    return [dg.AssetDep(raw_key(feed.dataset_name)) for feed in FEEDS.values() if feed.entity == name[0]]


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
    set_models_digest()
    with reading(home.get().raw):
        # Unit tests prove the code, not the data: they run in the test suite.
        events = list(dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context).stream())
    # dagster-dbt's own fetch_row_counts leaves the warehouse open in this process, which keeps every other step out of
    # it, and its column lineage parses each model again, which took longer than building them.
    tables = _table_metadata(home.get())
    for event in events:
        if isinstance(event, dg.Output):
            key = tuple(context.asset_key_for_output(event.output_name).path)
            yield event.with_metadata({**event.metadata, **tables.get(key, {})})
        else:
            yield event


def _table_metadata(home: Home) -> dict[tuple[str, str], dict[str, Any]]:
    """Row counts and columns with their descriptions, by layer and table, from the warehouse's own catalog."""
    with connect(home.warehouse, read_only=True) as connection:
        counts = connection.execute("SELECT schema_name, table_name, estimated_size FROM duckdb_tables()").fetchall()
        columns = connection.execute(
            "SELECT schema_name, table_name, list({'name': column_name, 'type': data_type, 'comment': comment} "
            "ORDER BY column_index) FROM duckdb_columns() GROUP BY ALL"
        ).fetchall()
    found: dict[tuple[str, str], dict[str, Any]] = {
        (schema, table): {
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(item["name"], item["type"].lower(), description=item["comment"]) for item in listed
                ]
            )
        }
        for schema, table, listed in columns
    }
    for schema, table, rows in counts:
        found[schema, table]["dagster/row_count"] = rows
    return found

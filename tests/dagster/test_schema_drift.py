"""The structure is written down twice, for dbt's contracts and for the checks: neither may change without the other."""

import csv
import re
from pathlib import Path
from typing import Any

import pandera.ibis as pa
import pytest
import yaml

from dagster_project.lib.home import PROJECT_ROOT
from schemas.marts import MART_MODELS
from schemas.raw import DECLARED, ENTITIES, OPERATIONS

MODELS = PROJECT_ROOT / "dbt" / "models"

TYPES = {
    "varchar": "string",
    "double": "float64",
    "integer": "int32",
    "bigint": "int64",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "timestamp('UTC', 6)",
    "timestamptz": "timestamp('UTC', 6)",
}
"""dbt's name of a type: the checks' name."""


def described(folder: Path) -> dict[str, dict[str, Any]]:
    """Models that the YAML files of a folder describe, by name."""
    return {
        model["name"]: model
        for path in sorted(folder.rglob("*.yml"))
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }


CONTRACTS = described(MODELS / "marts")


def columns_of(mart: str) -> dict[str, pa.Column]:
    return MART_MODELS[mart].to_schema().columns


def rules(mart: str) -> dict[str, Any]:
    """What the mart's one dbt test of the kind `checks` lists."""
    (found,) = [test["checks"]["arguments"] for test in CONTRACTS[mart]["data_tests"] if "checks" in test]
    return found


def accepted(mart: str) -> dict[str, set[str] | None]:
    """Allowed values of every column that the contract names, none where any are."""
    named = {column["name"] for column in CONTRACTS[mart]["columns"]}
    listed = rules(mart).get("accepted", {})
    assert listed.keys() <= named, mart
    return {name: set(listed[name]) if name in listed else None for name in named}


def allowed(column: pa.Column) -> set[str] | None:
    lists = [set(check.statistics["allowed_values"]) for check in column.checks if check.name == "isin"]
    assert len(lists) <= 1, column.name
    return lists[0] if lists else None


def test_contract_is_enforced_for_all_marts() -> None:
    project = yaml.safe_load((PROJECT_ROOT / "dbt" / "dbt_project.yml").read_text())
    assert project["models"]["delever"]["marts"]["+contract"] == {"enforced": True}
    for name, model in CONTRACTS.items():
        assert "contract" not in model.get("config", {}), name


def test_tables_are_the_same() -> None:
    assert CONTRACTS.keys() == MART_MODELS.keys()


@pytest.mark.parametrize("mart", sorted(MART_MODELS))
def test_columns_and_types_are_the_same(mart: str) -> None:
    contract = {column["name"]: TYPES[column["data_type"]] for column in CONTRACTS[mart]["columns"]}
    model = {name: str(column.dtype.type).removeprefix("!") for name, column in columns_of(mart).items()}
    assert contract == model


@pytest.mark.parametrize("mart", sorted(MART_MODELS))
def test_accepted_values_are_the_same(mart: str) -> None:
    contract = accepted(mart)
    model = {name: allowed(column) for name, column in columns_of(mart).items()}
    assert contract == model
    assert any(model.values())


@pytest.mark.parametrize("mart", sorted(MART_MODELS))
def test_columns_without_nulls_are_the_same(mart: str) -> None:
    assert set(rules(mart)["never_null"]) == {name for name, column in columns_of(mart).items() if not column.nullable}


@pytest.mark.parametrize("mart", sorted(MART_MODELS))
def test_model_refuses_a_column_that_it_does_not_name(mart: str) -> None:
    assert MART_MODELS[mart].to_schema().strict is True


SOURCES = {
    (source["name"], table["name"]): table
    for source in yaml.safe_load((MODELS / "sources.yml").read_text())["sources"]
    for table in source["tables"]
}
RAW = {**ENTITIES, **DECLARED, **OPERATIONS}
GLOBS = {
    **dict.fromkeys(ENTITIES, "*__${name}/*/*/*.parquet"),
    **dict.fromkeys([*DECLARED, *OPERATIONS], "${name}/*/*/*.parquet"),
}
"""Where a source's files are: an entity of all feeds at once, everything else under its own name."""


def test_raw_datasets_are_dbt_sources() -> None:
    assert len(RAW) == len(ENTITIES) + len(DECLARED) + len(OPERATIONS)
    assert SOURCES.keys() == {("raw", name) for name in RAW}


@pytest.mark.parametrize("dataset", sorted(RAW))
def test_source_is_the_raw_asset_and_reads_its_partitions(dataset: str) -> None:
    table = SOURCES["raw", dataset]
    meta = table["config"]["meta"]
    assert meta["dagster"]["asset_key"] == ["raw", dataset]
    assert meta["formatter"] == "template"
    assert f"/{GLOBS[dataset]}'" in meta["external_location"]
    model = RAW[dataset].to_schema().columns
    keys = {"dataset" if dataset in ("quarantine", "intake") else "venue": "VARCHAR", "date": "DATE"}
    assert {name: TYPES[kind.lower()] for name, kind in keys.items()} == {
        name: str(model[name].dtype.type).removeprefix("!") for name in keys
    }
    hive_types = ", ".join(f"'{name}': {kind}" for name, kind in keys.items())
    assert f"hive_types={{{hive_types}}}" in meta["external_location"]
    assert " ".join(table["description"].split()) == " ".join((RAW[dataset].__doc__ or "").split())


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_every_entity_has_one_staging_model_and_its_key_is_of_raw_columns(entity: str) -> None:
    staging = described(MODELS / "staging")
    key = staging[f"stg_venues__{entity}"]["config"]["meta"]["natural_key"]
    words = set(re.findall(r"[a-z_]+", re.sub(r"'[^']*'", "", " ".join(key))))
    sql = {"case", "when", "is", "not", "null", "or", "and", "then", "else", "end", "like", "row_number", "over"}
    sql |= {"partition", "by", "date_trunc", "timestamptz"}
    assert words - sql <= set(ENTITIES[entity].to_schema().columns), entity


def test_units_are_of_known_entities_and_fields() -> None:
    with (PROJECT_ROOT / "dbt" / "seeds" / "feed_units.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert row["field"] in ENTITIES[row["entity"]].to_schema().columns, row

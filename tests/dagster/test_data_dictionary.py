"""The data dictionary is what the code would write, and leaves nothing out."""

import os
import re

from dagster_project import dictionary
from dagster_project.replay.columns import SEARCH_COLUMNS, STRESS_COLUMNS
from dagster_project.replay.output import STRESS_TABLES
from schemas.marts import MART_MODELS


def test_dictionary_is_the_committed_one() -> None:
    if os.environ.get("DELEVER_UPDATE_SNAPSHOTS") == "1":
        dictionary.write()
    advice = "meant? then: python -m dagster_project.dictionary, and commit the file"
    held, wanted = dictionary.DICTIONARY.read_text().splitlines(), dictionary.text().splitlines()
    assert sorted(set(held) ^ set(wanted)) == [], advice
    assert held == wanted, advice


def test_every_published_table_and_column_is_described() -> None:
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", dictionary.text(), flags=re.MULTILINE | re.DOTALL))
    assert sections.keys() == MART_MODELS.keys()
    for name, model in MART_MODELS.items():
        listed = re.findall(r"^\| `(\w+)` \|", sections[name], flags=re.MULTILINE)
        assert sorted(listed) == sorted(model.to_schema().columns), name
        assert "One row per " in sections[name], name
    stress = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", dictionary.text(), flags=re.MULTILINE | re.DOTALL))
    assert sorted(stress) == sorted([*STRESS_TABLES, *SEARCH_COLUMNS])
    for name, section in stress.items():
        assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == list(
            {**STRESS_COLUMNS, **SEARCH_COLUMNS}[name]
        )
        assert "One row per " in section, name


def test_units_follow_the_names() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| (may be|never) \|", dictionary.text(), flags=re.MULTILINE)
    units = {name: unit for name, _, unit, _ in rows}
    assert units["liquidated_usd"] == "USD"
    assert units["tax_bps"] == "basis points"
    assert units["share"] == "fraction"
    assert units["bar_start_at"] == "UTC"
    assert units["tax_date"] == "UTC day"
    assert units["interval_seconds"] == "seconds"
    assert units["published_value"] == "as in `unit`"
    assert {null for name, _, _, null in rows if name in ("completeness", "source_class")} == {"never"}

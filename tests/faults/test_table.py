"""The table of faults in the documents is the one that the tests run."""

import os

from dagster_project.lib.home import PROJECT_ROOT
from faults.connectors import CASES, ways

PAGE = PROJECT_ROOT / "docs" / "faults.md"
NAMES = {"same rows": "the same rows as without it"}


def table() -> str:
    origins = ways()
    lines = [
        "# Faults and what comes of them",
        "",
        "Each line is run against every connector that can meet it, on the local server ([venue_server.md](venue_server.md)): "
        "`tests/faults/test_every_connector.py` fetches and reads under the fault and compares every raw row with an "
        f"undisturbed run. {len({name for name, _, _ in origins})} connectors, {len(origins)} ways of asking. This page is "
        "checked against the "
        "list that the tests run.",
        "",
        "| fault | at | outcome | how |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {case.name} | {', '.join(case.origins)} | {NAMES.get(case.outcome, case.outcome)} | {case.remark} |"
        for case in CASES
    ]
    lines += [
        "",
        "A *clear stop* names address, reason and remedy, keeps what has landed, and asks no more. *Set aside* means "
        "quarantine, with the file's place and its beginning. *Listed* means in the asset's metadata, and that the day stays "
        "open for the next round.",
        "",
        "Not found out: a page that lacks a row in its middle and is otherwise as documented (no venue numbers its rows), and "
        "an archive file that its venue replaced together with its checksum, until `--again` asks for it.",
        "",
        "Files: a mixed unit of time within a file, a record that breaks its model, a line cut short and a body that is no "
        "JSON go to quarantine record by record, or as a file (`tests/sources/test_reading.py`).",
    ]
    return "\n".join(lines) + "\n"


def test_the_page_is_the_list() -> None:
    if os.environ.get("DELEVER_UPDATE_SNAPSHOTS") == "1":
        PAGE.write_text(table())
    assert PAGE.read_text() == table(), "meant? then: DELEVER_UPDATE_SNAPSHOTS=1 pytest tests/faults/test_table.py"

"""SQL of the values of a file's columns, by the names that a spec uses."""

import re
from dataclasses import dataclass, field

from dagster_project.lib.duck import literal
from dagster_project.sources.files.form import Form
from dagster_project.sources.files.spec import FileSpec

_POSITION = re.compile(r"column([0-9]{1,4})")
_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\))")
_LOCAL_TIMES = re.compile(r"(TIMESTAMP(_S|_MS|_NS)?|DATE)")
_ZONED_TIME = "TIMESTAMP WITH TIME ZONE"


@dataclass
class Values:
    """The values of ``file_records`` that a spec reads.

    Args:
        spec: The spec.
        form: How the file was read.
        pointers: What is taken out of the records of JSON, in one go.
    """

    spec: FileSpec
    form: Form
    pointers: list[str] = field(default_factory=list)

    def source(self) -> str:
        """SQL of what the expressions below are asked of: ``record``, ``piece`` and the values."""
        if self.spec.format != "json":
            return "SELECT * FROM file_records"
        paths = ", ".join(literal(pointer) for pointer in self.pointers) or "'/'"
        return f"SELECT record, piece, json_extract_string(payload, [{paths}]) AS cells FROM file_records"

    def text(self, column: str) -> str:
        """SQL of a column's value as text; NULL where the file has no such column."""
        if self.spec.format != "json":
            return self._stored_text(column)
        found = [self._cell(pointer) for pointer in _pointers(column)]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def number(self, column: str) -> str | None:
        """SQL of a column that is stored as numbers; None where it is stored as something else."""
        kind = self.form.stored.get(column, "").upper()
        return self.form.place(column) if _NUMBERS.fullmatch(kind) else None

    def local_time(self, column: str) -> str | None:
        """SQL (TIMESTAMP) of a column that is stored as days or times without zone."""
        kind = self.form.stored.get(column, "").upper()
        return f"TRY_CAST({self.form.place(column)} AS TIMESTAMP)" if _LOCAL_TIMES.fullmatch(kind) else None

    def zoned_time(self, column: str) -> str | None:
        """SQL (TIMESTAMPTZ) of a column that is stored as moments."""
        return self.form.place(column) if self.form.stored.get(column, "").upper() == _ZONED_TIME else None

    def is_there(self, column: str) -> str:
        """SQL that is not NULL where a record has the column, even if it is empty there."""
        if column in self.form.stored:
            return "true"
        if self.spec.format != "json":
            inside = self._inside(column)
            return f"json_extract({inside[0]}, {literal(inside[1])})" if inside else "NULL"
        return f"coalesce({', '.join(f'json_extract(payload, {literal(pointer)})' for pointer in _pointers(column))})"

    def _cell(self, pointer: str) -> str:
        if pointer not in self.pointers:
            self.pointers.append(pointer)
        return f"cells[{self.pointers.index(pointer) + 1}]"

    def _stored_text(self, column: str) -> str:
        if column in self.form.stored:
            return f"{self.form.place(column)}::VARCHAR"
        inside = self._inside(column)
        return f"json_extract_string({inside[0]}, {literal(inside[1])})" if inside else "NULL::VARCHAR"

    def _inside(self, column: str) -> tuple[str, str] | None:
        """The nested column that a name with dots begins with, as JSON, and the rest as a pointer."""
        parts = column.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            outer = ".".join(parts[:cut])
            if outer in self.form.stored:
                place = self.form.place(outer)
                value = (
                    f"CASE WHEN json_valid({place}) THEN {place} END" if self.form.stored[outer] == "VARCHAR" else place
                )
                return f"to_json({value})" if value == place else f"({value})::JSON", pointer_of(".".join(parts[cut:]))
        return None


def _pointers(name: str) -> list[str]:
    """The JSON pointers (RFC 6901) under which a column's value may lie: its name as it stands, then with dots as steps."""
    pointers = ["/" + _escaped(name), pointer_of(name)]
    position = _POSITION.fullmatch(name)
    if position:
        # Records that are lists, whose values have a place and no name.
        pointers.append(f"/{position[1]}")
    return list(dict.fromkeys(pointers))


def pointer_of(name: str) -> str:
    """The JSON pointer of a name whose dots are steps into nested values."""
    return "".join("/" + _escaped(part) for part in name.split("."))


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")

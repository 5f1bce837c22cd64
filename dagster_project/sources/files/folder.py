"""Specs of a folder, and the files that they declare."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from dagster_project.lib.errors import DataError, UsageError
from dagster_project.sources.files.spec import FileSpec, canonical_faults
from dagster_project.sources.files.text import first_line, quoted, shown, suggestion

SUFFIX = ".delever.yaml"
SHIPPED_SPECS = Path(__file__).parent.parent / "specs"
MAX_SPEC_BYTES = 64 * 1024
MAX_SPEC_DEPTH = 12
MAX_FILES = 50_000
"""Of one spec; a glob that matches more was not meant so."""


class DeclaredFile(BaseModel):
    """A file of a folder with the spec that declares it."""

    model_config = ConfigDict(frozen=True)

    path: Path
    relative: str
    spec: FileSpec
    spec_path: Path


def load_spec(path: Path) -> FileSpec:
    """Read one spec.

    Raises:
        DataError: Not YAML, too large, or not a spec; the text lists every fault with its key.
    """
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise DataError(f"{path}: larger than {MAX_SPEC_BYTES} bytes, which no spec is.")
        content = _yaml(path.read_bytes().decode("utf-8-sig"), path)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not YAML: {first_line(error)}") from error
    try:
        return FileSpec.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {fault}" for fault in _spec_faults(error, content))
        raise DataError(f"{path} does not declare a file:\n{faults}") from error


def _yaml(text: str, path: Path) -> Any:  # noqa: ANN401 - whatever the YAML holds
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        # References let a few lines stand for billions of values; depth exhausts the stack of whoever walks it.
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DataError(f"{path}: YAML anchors and aliases are not accepted in a spec; write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_SPEC_DEPTH:
            raise DataError(f"{path}: nested deeper than {MAX_SPEC_DEPTH} levels, which no spec is.")
    repeated = list(_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader)))
    if repeated:
        places = "; ".join(f"{quoted(key)} on line {line}" for key, line in repeated)
        raise DataError(f"{path}: a key is written twice: {places}.")
    return yaml.safe_load(text)


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """YAML keeps the last of two equal keys and says nothing; a column that is mapped twice is a mistake."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(str(key.value))
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _spec_faults(error: ValidationError, content: object) -> Iterator[str]:
    places = set()
    for fault in error.errors():
        place = ".".join(shown(part) for part in fault["loc"]) or "(whole file)"
        places.add(place)
        words = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            words = "there is no such key" + suggestion(str(fault["loc"][-1]), _keys_at(fault["loc"][:-1]))
        elif fault["type"] == "string_type":
            words += " (YAML reads bare numbers, dates and yes, no, on, off as something else: put it in quotes)"
        yield f"{place}: {words}"
    if isinstance(content, Mapping) and "(whole file)" not in places:
        # Which columns are missing is found last, when all else is right; told at once, it saves a round.
        yield from canonical_faults(content)


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    model: Any = FileSpec
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        model = _model_in(field.annotation) if field is not None else model
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:  # noqa: ANN401 - a type, or a form of typing
    for item in (annotation, *getattr(annotation, "__args__", ())):
        for inner in (item, *getattr(item, "__args__", ())):
            if hasattr(inner, "model_fields"):
                return inner
    return None


def declared_files(folder: Path) -> Iterator[DeclaredFile]:
    """The declared files of a folder: by the specs in it, and by the specs that Delever ships where none lies beside.

    Raises:
        UsageError: No such folder.
        DataError: Specs that are none, or that name no file; the text has all of them.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder. Give the folder that holds your files and their *{SUFFIX} specs.")
    found: list[DeclaredFile] = []
    faults: list[str] = []
    for spec_path in spec_paths(folder):
        try:
            found += declared_by(spec_path, folder)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    yield from found
    yield from shipped_for(folder, found)


def spec_paths(folder: Path) -> list[Path]:
    """The specs in a folder and below it; a link that leads out of it is none."""
    root = folder.resolve()
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names if name.endswith(SUFFIX))
    return sorted(path for path in paths if path.is_file() and path.resolve().is_relative_to(root))


def declared_by(spec_path: Path, folder: Path) -> list[DeclaredFile]:
    """The files that one spec declares.

    Args:
        spec_path: The spec; its path is relative to its own folder.
        folder: The files' names are relative to it.

    Raises:
        DataError: It is no spec, or names no file, or too many.
    """
    spec = load_spec(spec_path)
    matches = _matches(spec_path.parent, spec.path)
    if not matches:
        raise DataError(f"{spec_path}: no file matches path '{shown(spec.path, 200)}' below {spec_path.parent}.")
    return [_declared(match, folder, spec, spec_path) for match in matches]


def shipped_for(folder: Path, declared: list[DeclaredFile]) -> Iterator[DeclaredFile]:
    """Files of a folder that a shipped spec fits by its path, and no spec of the folder declares for the same dataset."""
    # A file with a spec of its own is read by that one; of the shipped specs, several may take parts of one file.
    claimed = {(item.path, item.spec.dataset) for item in declared}
    for spec_path in sorted(SHIPPED_SPECS.glob(f"*{SUFFIX}")):
        spec = load_spec(spec_path)
        for match in _matches(folder, spec.path):
            if (match, spec.dataset) not in claimed:
                yield _declared(match, folder, spec, spec_path)


def _declared(path: Path, folder: Path, spec: FileSpec, spec_path: Path) -> DeclaredFile:
    return DeclaredFile(path=path, relative=path.relative_to(folder).as_posix(), spec=spec, spec_path=spec_path)


def _matches(folder: Path, pattern: str) -> list[Path]:
    root = folder.resolve()
    found: dict[Path, None] = {}
    for path in folder.glob(pattern):
        # A link inside the folder may point anywhere; what it points at is not in the folder that the user declared.
        if path.name.endswith(SUFFIX) or not path.is_file() or not path.resolve().is_relative_to(root):
            continue
        found[path] = None
        if len(found) > MAX_FILES:
            raise DataError(f"path '{shown(pattern, 200)}' matches more than {MAX_FILES} files below {folder}.")
    return sorted(found)

"""YAML as data from strangers: bounded in size and depth, no aliases, no duplicate keys, no tags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20


class YamlRefused(Exception):  # noqa: N818 - a refusal, turned into a fault
    """The text is not YAML that the replay accepts; the message says why on one line."""


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases (a small file could grow without end) and without silently dropped keys."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise YamlRefused("aliases (*name) are not accepted")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise YamlRefused(f"nested deeper than {MAX_DEPTH} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        seen: set[Any] = set()
        for key in keys:
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise YamlRefused(f"a key must be a name (line {node.start_mark.line + 1})")
            if key in seen:
                raise YamlRefused(f"key `{str(key)[:60]}` appears twice (line {node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 reads 1e-3 as text and 1:30 as 90; both surprise in a file of numbers.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]{0,300})$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the plain value of a YAML text.

    Raises:
        YamlRefused: the text is no YAML, too large or uses what is not accepted.
    """
    if len(text) > MAX_BYTES:
        raise YamlRefused(f"larger than {MAX_BYTES // 1024} KiB")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer features
    except YamlRefused:
        raise
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise YamlRefused(f"not valid YAML: {error.problem}{line}") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise YamlRefused(f"not valid YAML: {type(error).__name__}") from None


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - any YAML value
    """Return the plain value of a YAML file.

    Raises:
        YamlRefused: the file is missing, not UTF-8 text, too large or not accepted YAML.
    """
    try:
        if not path.is_file():
            raise YamlRefused("no such file" if not path.exists() else "not a regular file")
        with path.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise YamlRefused(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise YamlRefused(f"larger than {MAX_BYTES // 1024} KiB")
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise YamlRefused("not UTF-8 text") from None

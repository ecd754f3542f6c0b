"""From the file that `netrt apply` is given to what it asks for: its YAML, which kind of file it is, its project's name, and, for
compose, variables and profiles. And back: YAML of what is exported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from netrt.declare.compose import Circumstances, read_compose
from netrt.declare.ours import read_ours
from netrt.declare.tree import Tree
from netrt.declare.variables import interpolated, read_variables
from netrt.declare.wish import Wish
from netrt.errors import Invalid

LARGEST = 4 << 20
MOST = 50_000
"""Values in a document. Aliases of aliases can make of a page of text more than any memory holds."""

STDIN = "-"
COMPOSE_FILES = re.compile(r"(docker-)?compose[^/]*\.ya?ml\Z")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\Z")
_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


def read_wish(path: str, *, project: str, profiles: Sequence[str], publish_address: str) -> Wish:
    """What a file asks for (`-`: standard input). Raises Invalid, by file, line and field; OSError."""
    file = "standard input" if path == STDIN else path
    tree = read_tree(_text(path), file)
    top = tree.entries()
    if "services" not in top and not ("networks" in top and COMPOSE_FILES.match(os.path.basename(path))):
        name = project or (top["name"].text() if "name" in top else _normal(_stem(path)))
        return read_ours(tree, _checked(tree, name), publish_address)
    variables = _variables(path)
    name = project or variables.get("COMPOSE_PROJECT_NAME", "")
    if not name and "name" in top:
        name = top["name"].read(lambda text: interpolated(text, variables))
    name = name or _normal(os.path.basename(os.path.dirname(os.path.abspath(path))))
    asked = (*profiles, *filter(None, variables.get("COMPOSE_PROFILES", "").split(",")))
    here = Circumstances(
        project=_checked(tree, name), variables=variables, profiles=asked, publish_address=publish_address
    )
    return read_compose(tree, here)


def _text(path: str) -> str:
    if path == STDIN:
        raw = sys.stdin.buffer.read(LARGEST + 1)
    else:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise Invalid(f"{path}: too large", hint=f"at most {LARGEST} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{path}:{line}: not UTF-8") from None


def _variables(path: str) -> dict[str, str]:
    """Those of the environment, and those of `.env` beside the file where the environment has none."""
    beside = os.path.join(os.path.dirname(os.path.abspath(path)), ".env")
    found = {}
    if path != STDIN and os.path.isfile(beside):
        with open(beside, encoding="utf-8", errors="replace") as file:
            found = read_variables(file.read(LARGEST))
    return {**found, **os.environ}


def _stem(path: str) -> str:
    return "default" if path == STDIN else os.path.basename(path).rpartition(".")[0] or "default"


def _normal(text: str) -> str:
    """As compose makes a project's name of that of a directory."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-")[:40] or "default"


def _checked(tree: Tree, name: str) -> str:
    if not _PROJECT.match(name):
        raise Invalid(
            f"{tree.file}: invalid name of a project {name[:60]!r}",
            hint="1 to 40 of a-z 0-9 _ -, the first a letter or a digit; say it by name: or --project-name",
        )
    return name


# YAML


def read_tree(text: str, file: str) -> Tree:
    """A document as a tree. Raises Invalid."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return _Grower(loader, file).grown(node, "") if node else Tree(value=None, file=file, line=1)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Invalid(f"{file}{line}: not YAML: {' '.join(str(error.problem).split())}") from None
    except yaml.YAMLError as error:
        raise Invalid(f"{file}: not YAML: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise Invalid(f"{file}: nested too deeply") from None


class _Grower:
    """Makes a tree of PyYAML's nodes, and counts."""

    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self._loader, self._file, self._count = loader, file, 0

    def grown(self, node: yaml.Node, field: str) -> Tree:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MOST:
            raise Invalid(f"{self._file}:{line}: too many values", hint=f"at most {MOST}")
        value: Any = None
        if isinstance(node, yaml.MappingNode):
            value = self._named(node, field)
        elif isinstance(node, yaml.SequenceNode):
            value = tuple(self.grown(each, f"{field}[{number}]") for number, each in enumerate(node.value))
        elif node.tag != _NULL:
            value = node.value
        return Tree(value=value, file=self._file, line=line, field=field)

    def _named(self, node: yaml.MappingNode, field: str) -> dict[str, Tree]:
        seen: set[str] = set()
        for key, _ in node.value:
            where = f"{self._file}:{key.start_mark.line + 1}: {field or 'the top'}"
            if not isinstance(key, yaml.ScalarNode):
                raise Invalid(f"{where}: a name must be text")
            if key.value in seen and key.tag != _MERGE:
                raise Invalid(f"{where}: {key.value[:60]!r} is said twice")
            seen.add(key.value)
        self._loader.flatten_mapping(node)
        return {
            key.value: self._at_key(key, self.grown(value, f"{field}.{key.value}" if field else key.value))
            for key, value in node.value
        }

    def _at_key(self, key: yaml.Node, tree: Tree) -> Tree:
        """What has a name is looked for where its name stands."""
        return Tree(value=tree.value, file=tree.file, line=key.start_mark.line + 1, field=tree.field)


def as_yaml(document: dict[str, Any]) -> str:
    """The text of a document, in the order in which it is."""
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=False))

"""The rules of the house, as tests: one tool, one report.

Rule 1: what ruff, mypy and the import contracts say is law. Rule 2: a file has at most 400 lines, a function 60, and each opens
with what it is about. Rule 3: a sum is handled in every place that must know all of it. Rule 4: the README's map is true.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tests import housemap

TOP = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ROOMS = [room for room in ("netrt", "tests", "cni-plugins", "oci-hooks") if (TOP / room).is_dir()]
MODULES = sorted(p for room in ROOMS for p in (TOP / room).rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 400, 60

TOOLS = {
    "ruff check": ("ruff", "check", *ROOMS),
    "ruff format": ("ruff", "format", "--check", *ROOMS),
    "mypy": ("mypy",),
    "import contracts": ("lint-imports",),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_is_content(tool: str) -> None:
    name, *arguments = TOOLS[tool]
    done = subprocess.run([BIN / name, *arguments], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tool}\n{done.stdout[-6000:]}{done.stderr[-2000:]}"


def name_of(module: Path) -> str:
    return str(module.relative_to(TOP))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_is_short_and_says_what_it_is(module: Path) -> None:
    text = module.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a file opens with a docstring"
    assert text.startswith('"""'), "the docstring stands on the first line"
    lines = text.count("\n")
    assert lines <= MAX_FILE, f"{lines} lines; at most {MAX_FILE}"
    long = [f"{f.name}: {n}" for f in functions(tree) if (n := (f.end_lineno or 0) - f.lineno + 1) > MAX_FUNCTION]
    assert not long, f"functions of more than {MAX_FUNCTION} lines: {', '.join(long)}"


VAGUE = ("util", "utils", "helper", "helpers", "common", "manager", "base", "misc", "handler", "service")


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_has_a_name_of_the_field(module: Path) -> None:
    assert module.stem not in VAGUE


def test_nothing_sleeps() -> None:
    """Wait for a condition with a deadline instead; only `wait_until` may pause."""
    found = [
        f"{name_of(module)}:{node.lineno}"
        for module in MODULES
        if module != TOP / "tests/waiting.py"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name)
    ]
    assert not found


def test_no_global_statement() -> None:
    found = [
        f"{name_of(module)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Global)
    ]
    assert not found


def test_every_operation_is_described_stepped_and_applied() -> None:
    from netrt.dataplane import ops, step, wayops
    from netrt.kernel import kernel

    every = set(get_args(ops.Op))
    rooms = (ops.__name__, wayops.__name__)
    classes = {c for _, c in inspect.getmembers(ops, inspect.isclass) if c.__module__ in rooms}
    assert every == classes, "Op is the sum of all classes in ops"
    assert all("describe" in vars(c) for c in every)
    assert set(step.STEPS) == every
    source = "".join(p.read_text() for p in Path(kernel.__file__).parent.glob("*.py"))
    assert not [c.__name__ for c in every if c.__name__ not in source], "operations that the kernel room does not know"


def test_every_mode_is_compiled() -> None:
    from netrt.compile.host import MODES
    from netrt.model.network import Mode

    assert set(MODES) == set(Mode)


def test_every_object_is_placed_by_the_plan() -> None:
    """An object that step knows how to make is one that diff plans and the kernel reads: the sum `Object` is complete."""
    from netrt.dataplane import objects

    made = {c for _, c in inspect.getmembers(objects, inspect.isclass) if c.__module__ == objects.__name__}
    assert set(get_args(objects.Object)) == {c for c in made if hasattr(c, "key")}


def test_the_readme_has_the_map() -> None:
    readme = housemap.README.read_text()
    assert housemap.written(readme) == readme, "run `make fmt`"

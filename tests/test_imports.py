"""Who imports whom: dependencies point one way, importing is cheap, and nothing deprecated is used."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_awork

PACKAGE = "airflow_provider_awork"
ROOT = Path(airflow_provider_awork.__file__).parent
MODULES = sorted(
    ".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)

EVERYTHING_OF_AIRFLOW = "airflow"
CLIENT = {"client", "exceptions", "version_compat"}
DESTINATION = "airflow.sdk.ObjectStoragePath"  # the type of a destination
STORAGE_CONNECTION = "airflow.sdk.BaseHook"  # reads the connection that a destination names
FILES = {"windows", "columns", DESTINATION, STORAGE_CONNECTION, *CLIENT}
HOOKS = {"get_provider_info", EVERYTHING_OF_AIRFLOW, *FILES}
BILLING = {"hooks", "files", *HOOKS}
OPERATORS = {"links", "billing", *BILLING}

# What each part of the package may import: parts of the package, all of Airflow, or single names of it.
# A new part needs a line here, below what it rests on.
ALLOWED = {
    PACKAGE: set(),
    "get_provider_info": set(),
    "version_compat": {EVERYTHING_OF_AIRFLOW},
    "exceptions": {"version_compat"},
    "client": CLIENT,
    "windows": {"windows", EVERYTHING_OF_AIRFLOW, *CLIENT},
    "columns": {"columns", *CLIENT},
    "files": {"files", *FILES},
    "hooks": {"hooks", *HOOKS},
    "links": {EVERYTHING_OF_AIRFLOW},
    "assets": {EVERYTHING_OF_AIRFLOW},
    "billing": {"billing", *BILLING},
    "operators": {"operators", *OPERATORS},
    "triggers": {"triggers", *OPERATORS},
    "sensors": {"sensors", "triggers", "operators", *OPERATORS},
    "transfers": {"transfers", "assets", "operators", *OPERATORS},
    "doctor": {"doctor", "hooks", *HOOKS},
    "cli": {"doctor", "billing", EVERYTHING_OF_AIRFLOW},
    "__main__": {"cli"},
    "sandbox": {"sandbox"},
}


def _imports(module: str) -> set[str]:
    """Find all that a module imports, also inside functions and for type checking, with names as imported."""
    path = ROOT.joinpath(*module.split(".")[1:])
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}; write the whole name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _part(name: str) -> str | None:
    """Give the part of the package that an imported name belongs to, ``airflow``, or None for anything else."""
    top, *rest = name.split(".")
    if top == EVERYTHING_OF_AIRFLOW:
        return EVERYTHING_OF_AIRFLOW
    if top != PACKAGE:
        return None
    return rest[0] if rest and rest[0] != "__version__" else PACKAGE


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    part = _part(module)
    assert part in ALLOWED, f"{part} is new: say in ALLOWED what it may import"

    allowed = {None, PACKAGE, *ALLOWED[part]}

    assert not {name for name in _imports(module) if name not in allowed and _part(name) not in allowed}


def test_no_module_is_in_an_import_circle() -> None:
    graph = {module: {_module_of(name) for name in _imports(module)} - {None, module} for module in MODULES}

    TopologicalSorter(graph).prepare()


def _module_of(name: str) -> str | None:
    """Give the module of this package that an imported name is or lies in."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def _in_new_process(script: str, *arguments: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


NEW_MODULES_SCRIPT = """
import json, sys
from importlib import import_module
from airflow.sdk import BaseHook, BaseOperator

before = set(sys.modules)
for module in sys.argv[1:]:
    import_module(module)
print(json.dumps(sorted(set(sys.modules) - before)))
"""

HEAVY = {
    *("boto3", "botocore", "duckdb", "fsspec", "lark", "numpy", "pandas", "pyarrow", "requests", "s3fs"),
    *("starlette", "upath", "urllib3", "uvicorn", "zstandard"),
}
LOADED_BY_DAG_FILES = [
    module for module in MODULES if _part(module) in {"cli", "hooks", "operators", "sensors", "transfers", "triggers"}
]


def test_what_dag_files_import_loads_nothing_heavy() -> None:
    loaded = _in_new_process(NEW_MODULES_SCRIPT, *LOADED_BY_DAG_FILES)
    heavy = HEAVY & {name.partition(".")[0] for name in loaded}

    assert set(LOADED_BY_DAG_FILES) <= set(loaded)
    assert not heavy


WARNINGS_SCRIPT = """
import json, sys, warnings
from importlib import import_module
import airflow  # sends warnings to its log from here on, so they are recorded after it

root = sys.argv[1]
with warnings.catch_warnings(record=True) as recorded:
    warnings.simplefilter("always")
    for module in sys.argv[2:]:
        import_module(module)
print(json.dumps([
    f"{warning.filename}:{warning.lineno}: {warning.category.__name__}: {warning.message}"
    for warning in recorded
    if warning.filename.startswith(root)
]))
"""


def test_every_module_can_be_imported_and_none_warns() -> None:
    importable = [module for module in MODULES if not module.endswith(".__main__")]

    assert _in_new_process(WARNINGS_SCRIPT, str(ROOT), *importable) == []


MOST_LOCAL_IMPORTS = 30
MOST_LINES = {"module": 350, "class": 200, "function": 45}


def _lines_of_code(source: str) -> set[int]:
    """Return the numbers of the lines that hold code: no comment, no docstring, not blank."""
    tree = ast.parse(source)
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
                prose |= set(range(first.lineno, first.end_lineno + 1))
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            code |= set(range(token.start[0], token.end[0] + 1))
    return code - prose


def _sizes(source: str) -> Iterator[tuple[str, str, int]]:
    """Return kind, name and lines of code of a module and of each class and function in it."""
    code = _lines_of_code(source)
    yield "module", "", len(code)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, node.name, len(code & set(range(node.lineno, node.end_lineno + 1)))


PRODUCT_FILES = [path for path in sorted(ROOT.rglob("*.py")) if "sandbox" not in path.relative_to(ROOT).parts]


@pytest.mark.parametrize("path", PRODUCT_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_classes_and_functions_are_of_readable_size(path: Path) -> None:
    assert [size for size in _sizes(path.read_text()) if size[2] > MOST_LINES[size[0]]] == []


def test_few_imports_are_inside_functions() -> None:
    local = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT_FILES
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert len(local) <= MOST_LOCAL_IMPORTS, sorted(local)

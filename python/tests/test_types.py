"""Types: the package under mypy, and stubs that say what is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def mypy(*args: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_package_is_typed():
    done = mypy("--cache-dir=/dev/null", "-p", "unmixel")
    assert done.returncode == 0, done.stdout


def test_users_get_types(tmp_path):
    use = tmp_path / "use.py"
    use.write_text("import unmixel as ux\nfit = ux.Unmixing(3).fit('a.npz')\nk: int = fit.k\n")
    right = mypy("--cache-dir=/dev/null", str(use))
    assert right.returncode == 0, right.stdout
    use.write_text(
        "import unmixel as ux\nux.Unmixing(3, noise='loud', typo=1)\nk: str = ux.load('a').k\n"
    )
    wrong = mypy("--cache-dir=/dev/null", str(use)).stdout
    assert "loud" in wrong and "typo" in wrong and '"int"' in wrong, wrong


def test_stubs_say_what_the_compiled_part_has():
    from unmixel import _unmixel

    tree = ast.parse((ROOT / "unmixel" / "_unmixel.pyi").read_text())
    stated: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            own = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
            stated[node.name] = own - {"__new__"}
        elif isinstance(node, ast.FunctionDef):
            stated[node.name] = set()
    public = {name for name in dir(_unmixel) if not name.startswith("_")}
    assert public == set(stated)
    for name, own in stated.items():
        found = getattr(_unmixel, name)
        if own:
            assert {n for n in dir(found) if not n.startswith("_")} == own, name
        assert found.__doc__, name

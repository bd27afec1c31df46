"""The notebooks run from the first cell to the last."""

from __future__ import annotations

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))
NEEDS = {"3_emit_to_cog": ("netCDF4", "rioxarray"), "4_zarr_on_a_cluster": ("zarr", "distributed")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    for module in NEEDS.get(path.stem, ()):
        pytest.importorskip(module)
    book = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "clear the outputs"
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()


def test_a_notebook_that_fails_is_seen(tmp_path):
    book = nbformat.read(EXAMPLES[0], as_version=4)
    book.cells = [nbformat.v4.new_code_cell("assert 1 == 2")]
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="AssertionError"):
        nbclient.NotebookClient(
            book, timeout=60, resources={"metadata": {"path": tmp_path}}
        ).execute()


def test_there_are_five():
    assert len(EXAMPLES) == 5

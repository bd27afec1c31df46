"""What the tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import unmixel as ux

#: Steps of a quick fit: one start, some milliseconds.
QUICK = {"steps": 150, "device": "cpu"}


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With UNMIXEL_PYTHON=require what is skipped has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    # One of scikit-learn's own checks, of estimators that take other arrays than NumPy's.
    skipped = [report for report in skipped if "array_api" not in str(report.longrepr)]
    if skipped and os.environ.get("UNMIXEL_PYTHON") == "require":
        reporter.write_line(f"{len(skipped)} skipped, and UNMIXEL_PYTHON=require", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def simulated() -> ux.Simulated:
    """24 x 30 pixels, 40 bands, three endmembers, a few holes."""
    return ux.simulate(24, 30, 40, 3, no_data=0.05, seed=3)


@pytest.fixture(scope="session")
def fit(simulated: ux.Simulated) -> ux.Fit:
    """A quick fit of it."""
    return ux.Unmixing(3, seed=7, draws=30, **QUICK).fit(simulated.scene)


@pytest.fixture(scope="session")
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, with what it is given."""
    named = os.environ.get("UNMIXEL_PROGRAM")
    beside = Path(__file__).parents[2] / "target" / "debug" / "unmixel"
    found = named or (str(beside) if beside.exists() else shutil.which("unmixel"))
    if not found:
        pytest.skip("there is no program `unmixel`; UNMIXEL_PROGRAM names one")

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [found, *map(str, args)]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    return run


@pytest.fixture
def npz(tmp_path: Path, simulated: ux.Simulated) -> Path:
    """The simulated scene as a file."""
    path = tmp_path / "field.npz"
    np.savez(path, cube=simulated.cube, wavelength=simulated.wavelengths)
    return path

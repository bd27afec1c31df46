"""The Python of each peer: virtual environments below target/peers, made when they are missing.

Packages of different times do not go into one environment, hence three. Each is made anew when its
list of packages changes.
"""
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "target/peers"
LISTS = dict(main="requirements.txt", network="requirements-network.txt",
             old="requirements-old.txt")


class Environments:
    """Which interpreter runs what; `reasons` says why an environment could not be made."""

    def __init__(self, python, install, gpu):
        self.python, self.install, self.gpu = python, install, gpu
        self.found, self.reasons = {}, {}

    def interpreter(self, name):
        """Path of the interpreter of one environment, or None with a sentence in `reasons`."""
        if self.python:
            return self.python
        if name not in self.found:
            self.found[name] = self._ready(name)
        return self.found[name]

    def _packages(self, name):
        text = (HERE / LISTS[name]).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if self.gpu and name == "main":
            lines = [line.replace("jax==", "jax[cuda13]==") for line in lines]
        return lines

    def _ready(self, name):
        folder, packages = FOLDER / name, self._packages(name)
        stamp, python = folder / "packages", folder / "bin/python"
        if stamp.exists() and stamp.read_text(encoding="utf-8").splitlines() == packages:
            return str(python)
        if not self.install:
            return sys.executable
        print(f"installs {', '.join(packages)} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        steps = [[sys.executable, "-m", "venv", str(folder)],
                 [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                  *packages]]
        for words in steps:
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
                shutil.rmtree(folder, ignore_errors=True)
                self.reasons[name] = f"its packages do not install here: {said[-1]}"
                print(self.reasons[name], flush=True)
                return None
        stamp.write_text("\n".join(packages) + "\n", encoding="utf-8")
        return str(python)

"""Runs one process and measures all of it: wall time, processor time, peak of resident memory."""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time


def run(words, variables=(), core=None, limit=1800.0):
    """What a whole process took and said; `error` is a sentence where it failed.

    The peak is that of the process itself; one below that of this program cannot be seen, which is
    why this program imports nothing large.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        def pin():
            if core is not None:
                os.sched_setaffinity(0, {core})

        began = time.perf_counter()
        try:
            child = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**os.environ, **dict(variables)}, preexec_fn=pin, start_new_session=True)
        except OSError as error:
            return dict(error=f"{words[0]} does not start: {error.strerror}")
        late = threading.Event()

        def end():
            late.set()
            os.killpg(child.pid, signal.SIGKILL)

        timer = threading.Timer(limit, end)
        timer.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, complained = (file.read().decode(errors="replace") for file in (out, err))
    found = dict(seconds=seconds, cpu_seconds=used.ru_utime + used.ru_stime,
                 peak_mb=used.ru_maxrss * 1024 / 1e6)
    if late.is_set():
        return dict(found, error=f"ended after the {limit:.0f} s that a run may take")
    if child.returncode:
        return dict(found, error=sentence(child.returncode, complained or said))
    try:
        found["said"] = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        pass
    return found


def sentence(code, complained):
    """Why a process failed, of the last line that it wrote."""
    lines = complained.strip().splitlines() or ["it says nothing"]
    if "ModuleNotFoundError" in lines[-1]:
        return f"lacks a package ({lines[-1].partition(': ')[2]})"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with status {code}: {lines[-1][:200]}"

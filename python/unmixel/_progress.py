"""Progress of a fit: a bar, lines, or whatever the caller does with events."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Union

from ._unmixel import Event

__all__ = ["Event", "Progress", "listener"]

#: ``False`` or ``None``: silence; ``True``: a bar of tqdm, or lines on stderr without tqdm; a
#: function: is called with each :class:`Event`.
Progress = Union[bool, None, Callable[[Event], object]]


class _Bar:
    """A bar of tqdm that follows a search and then a fit."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None
        self._of = ""

    def __call__(self, event: Event) -> None:
        if event.kind not in ("search", "step"):
            if event.kind == "fitted":
                self.close()
            return
        if self._bar is None or self._of != event.kind:
            self.close()
            self._of = event.kind
            self._bar = self._tqdm(total=event.total, unit="step", desc=_NAMES[event.kind])
        self._bar.total = event.total
        self._bar.n = event.step
        if event.elbo is not None:
            self._bar.set_postfix_str(f"ELBO {event.elbo:.2f}", refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


_NAMES = {"search": "search", "step": "fit"}


class _Lines:
    """Every event but the steps of a search as a line on stderr, steps at each tenth."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, event: Event) -> None:
        if event.kind == "search":
            return
        if event.kind == "step":
            step, total = event.step or 0, event.total or 1
            if step < self._next:
                return
            self._next = step + -(-total // 10)
        print(event.text, file=sys.stderr)

    def close(self) -> None:
        """Nothing is open."""


def listener(progress: Progress) -> tuple[Callable[[Event], object] | None, Callable[[], None]]:
    """What is called with events, and what to call at the end."""
    if progress is None or progress is False:
        return None, lambda: None
    if progress is True:
        shown: _Bar | _Lines
        try:
            from tqdm.auto import tqdm
        except ImportError:
            shown = _Lines()
        else:
            shown = _Bar(tqdm)
        return shown, shown.close
    if not callable(progress):
        raise TypeError(f"progress={progress!r}: give True, False or a function of one event")
    return progress, lambda: None

"""Shows the progress of an import on standard error."""

import sys
import time


class Progress:
    """A progress line: rewritten in place on a terminal, otherwise printed every few seconds.

    Args:
        done: What happens to the orders, such as `checked`.
        total: The number of orders, if it is known.
    """

    def __init__(self, done: str, total: int | None = None) -> None:
        self._done = done
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def show(self, count: int) -> None:
        """Updates the line, unless it was updated a moment ago."""
        now = time.monotonic()
        if now - self._shown >= (0.2 if self._terminal else 5):
            self._shown = now
            self._write(count, now - self._started)

    def pause(self) -> None:
        """Clears the line on a terminal, so that another line can be printed."""
        if self._terminal:
            sys.stderr.write("\r\033[K")

    def end(self, count: int) -> float:
        """Writes the final line and returns the elapsed seconds."""
        seconds = time.monotonic() - self._started
        self._write(count, seconds)
        if self._terminal:
            sys.stderr.write("\n")
        return seconds

    def _write(self, count: int, seconds: float) -> None:
        text = f"{count:,} orders {self._done}, {rate(count, seconds)}"
        if self._total and 0 < count < self._total:
            left = round(seconds / count * (self._total - count))
            text = f"{count:,} of {self._total:,} orders {self._done}, {rate(count, seconds)}, "
            text += f"{left // 60}:{left % 60:02} to go"
        sys.stderr.write(f"\r{text}\033[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()


def rate(count: int, seconds: float) -> str:
    """Returns a throughput such as `1,250 a second`."""
    return f"{count / max(seconds, 0.001):,.0f} a second"

"""Leaving Redis alone while it does not answer, so that nobody waits for it."""

from __future__ import annotations

from time import monotonic


class Breaker:
    """Opens after so many failures in a row; while it is open, somebody may look each pause whether Redis is back."""

    def __init__(self, most_failures: int, pause_s: float) -> None:
        self._most_failures = most_failures
        self._pause_s = pause_s
        self._failures = 0
        self._look_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether Redis is to be left alone."""
        return self._failures >= self._most_failures

    def is_time_to_look(self) -> bool:
        """Whether it is time to look if Redis is back; whoever hears so does it, and the others wait for another pause."""
        if not self.is_open or monotonic() < self._look_at:
            return False
        self._look_at = monotonic() + self._pause_s
        return True

    def note_answer(self) -> bool:
        """Redis answered; whether it had been left alone until now."""
        was_open, self._failures = self.is_open, 0
        return was_open

    def note_failure(self) -> bool:
        """Redis did not answer; whether it is left alone from now on."""
        was_open = self.is_open
        self._failures += 1
        if self.is_open and not was_open:
            self._look_at = monotonic() + self._pause_s
        return self.is_open and not was_open

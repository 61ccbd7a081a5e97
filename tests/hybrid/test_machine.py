"""Whatever happens to two sides and to the processes that use them, a company is what the rules say, and its mirror the same."""

from __future__ import annotations

import pytest

from deskstore.adapters.memory import MemoryStorage
from tests.hybrid.machine import take_any_steps_between


@pytest.mark.parametrize("prefers_far", [False, True])
def test_any_steps_between_two_memories_leave_what_the_rules_say(prefers_far: bool) -> None:
    take_any_steps_between(lambda clock: (MemoryStorage(clock), MemoryStorage(clock)), prefers_far=prefers_far)

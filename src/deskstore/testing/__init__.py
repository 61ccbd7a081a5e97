"""
What others import to prove a storage of their own: the contract kit, hostile examples, a clock that obeys, faults on demand.

contract    every promise of a storage, as test functions that need one fixture
strategies  Hypothesis strategies that make hostile things by default
machine     a stateful test of several companies against a model
model       a company as it should be, made of dictionaries
desk        one company, with the steps that tests take there
faults      a storage that fails when it is told to
makers      records with plain content, for tests that care for one thing in them
proving     the contract kit run by a program, as `deskstore adapters test` does
clock       a clock that moves when it is told to
"""

import pytest

# so that a failed assert shows its values in the kit as in any test module
pytest.register_assert_rewrite("deskstore.testing.contract", "deskstore.testing.machine", "deskstore.testing.model")

"""What the security tests have in common: the time at which tokens are made, and a service that trusts one issuer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine

from tests.service.cds_hooks.guarded import Guarded, clock, guarded, with_key_file


@pytest.fixture
def now() -> Iterator[time_machine.Traveller]:
    """Set the clock to the time at which tokens are made; `shift` moves it."""
    with clock() as traveller:
        yield traveller


@pytest.fixture
def service(tmp_path: Path, now: time_machine.Traveller) -> Guarded:
    """Give a service that trusts one issuer, whose keys are in a file."""
    return guarded(with_key_file(tmp_path))

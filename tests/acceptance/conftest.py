"""What the acceptance tests share: one demonstration, as the README's command makes it."""

from __future__ import annotations

import pytest
from demonstrated import Demonstrated, demonstrate


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Demonstrated:
    """The demonstration, made once, in a new folder."""
    folder = tmp_path_factory.mktemp("demonstration")
    return demonstrate(folder / "farm", folder / "first.json")

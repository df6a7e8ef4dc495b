"""What the acceptance tests share: one demonstration, as the README's command makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from demonstrated import Demonstrated, demonstrate


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Demonstrated:
    """The demonstration, made once, in a new folder."""
    folder = tmp_path_factory.mktemp("demonstration")
    return demonstrate(folder / "farm", folder / "first.json")


# Before pytest-xdist looks at the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process what shares a demonstration, and else each file's tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            shared = "demonstration" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("demonstration" if shared else item.path.name))

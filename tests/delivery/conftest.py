"""A server for one test; each folder says which client it has. Lets the tests here import what they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from house import House  # noqa: E402  (found only now)


@pytest.fixture(params=["memory", "lmdb"])
def house(
    request: pytest.FixtureRequest, start_server: Any, tmp_path: Path, client_class: Callable[..., Any]
) -> Iterator[House]:
    """With the policies, and the options, that the test's marks say."""
    policies = request.node.get_closest_marker("policies")
    options = request.node.get_closest_marker("options")
    made = House(
        start_server,
        request.param,
        tmp_path,
        client_class,
        "policies:\n" + policies.args[0] if policies else "",
        options.args if options else (),
    )
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "policies(text): of the configuration file of the started server")
    config.addinivalue_line("markers", "options(*words): options of the started server")

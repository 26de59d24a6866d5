"""A server for one test; each folder says which client it has. Lets the tests here import what they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stompserver.ctl.live import COMMANDS
from stompserver.ctl.main import main
from stompserver.ctl.store import store

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


@pytest.fixture
def stompctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """``stompctl(*words, code=)`` runs it; what it printed."""
    monkeypatch.chdir(tmp_path)
    for command in (store, *COMMANDS):
        main.add_command(command)

    def run(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(main, list(words), prog_name="stompctl")
        assert ended.exit_code == code, ended.output
        return ended.output

    return run


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "policies(text): of the configuration file of the started server")
    config.addinivalue_line("markers", "options(*words): options of the started server")

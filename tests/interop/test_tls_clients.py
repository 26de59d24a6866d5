"""Third-party clients over TLS: each checks the server's certificate by the CA, and logs in by its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clients import CLIENTS, address, run
from test_clients import CHECKS

if TYPE_CHECKING:
    from papers import Papers

pytestmark = pytest.mark.interop

SECURE = ("stomp.py", "python3-stomp", "stompest", "ruby-stomp", "stompit", "Net::Stomp")
SCENARIOS = ("order", "binary", "transaction_commit", "receipts", "error")


@pytest.fixture(scope="module")
def certificate(papers: Papers) -> Path:
    import trustme

    # The stomp gem takes only keys of RSA.
    return papers.issue("worker", "worker.example", common_name="worker", key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def secure(start_shared_server: Callable[..., Any], papers: Papers, request: Any) -> Iterator[Any]:
    server = start_shared_server(
        "--tls", f"--tls-cert={papers.server}", "--tls-client-cert=need", f"--tls-client-ca={papers.ca}",
        "--tls-login=cn", "--auth", f"--loop={request.param}", "--login-timeout=4",
    )  # fmt: skip
    yield server
    server.stop()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", SECURE)
def test_over_tls_it_is_as_without(
    secure: Any, papers: Papers, certificate: Path, name: str, scenario: str
) -> None:
    version = "1.0" if name == "Net::Stomp" else "1.2"
    facts = run(name, version, scenario, address(secure), ca=str(papers.ca), cert=str(certificate))
    CHECKS[scenario](facts)
    secure.wait_for_log(rf"with STOMP {version} as worker\n")


@pytest.mark.parametrize("name", SECURE)
def test_a_server_of_another_ca_is_not_trusted(
    secure: Any, papers: Papers, certificate: Path, name: str
) -> None:
    """That a client takes this server's certificate tells something only if it does not take any."""
    stranger = papers.of_stranger("stranger", "client.example")
    with pytest.raises(AssertionError, match=r"(?i)certificate|ssl|connect"):
        run(name, "1.2", "order", address(secure), ca=str(stranger), cert=str(certificate))


def test_all_of_them_are_known() -> None:
    assert set(SECURE) <= set(CLIENTS)

"""Third-party STOMP clients over WebSocket: in Node, and in a real Chromium, as the users of each have it."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from clients import NODE_MODULES

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
NODE = HERE / "node"
SECONDS = 60.0
CLIENTS = ("@stomp/stompjs", "rx-stomp", "webstomp-client", "stompjs")
IN_BROWSER = (*CLIENTS, "react-stomp-hooks")
BINARY = ("@stomp/stompjs", "rx-stomp", "react-stomp-hooks")
RECONNECT = BINARY
MINUTE = 65_000
LARGE = len(("xäy" * 349526).encode())


def wanted(client: str, **more: Any) -> dict[str, Any]:
    """What it has to have seen."""
    facts: dict[str, Any] = {
        "text": "grüße 😀",
        "again": "grüße 😀",
        "transaction": "committed",
        "large": LARGE,
        "left": 0,
    }
    if client in BINARY:
        facts["binary"] = True
    return {**facts, **more}


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None or not (NODE / "node_modules/webstomp-client").exists():
        pytest.skip(f"needs node and {NODE_MODULES}")
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_in_node(server: Any, node: str, client: str) -> None:
    url = f"ws://127.0.0.1:{server.port}/ws"
    done = subprocess.run(
        [node, "websocket.mjs", url, client, f"/queue/{uuid4().hex}"],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted(client)


# In Chromium


@pytest.fixture(scope="session")
def bundle(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of all clients."""
    folder = tmp_path_factory.mktemp("page")
    subprocess.run(
        [
            str(NODE / "node_modules/.bin/esbuild"),
            "websocket_page.mjs",
            "--bundle",
            "--format=iife",
            f"--outfile={folder / 'page.js'}",
            "--log-level=error",
        ],
        cwd=NODE,
        check=True,
    )
    (folder / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><body><script src="page.js"></script>'
    )
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def pages(bundle: Path) -> Iterator[int]:
    """The port of a server of that folder."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(bundle)))
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made.server_address[1]
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium (Debian: chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, pages: int) -> Iterator[Any]:
    opened = chromium.new_page()
    opened.set_default_timeout(SECONDS * 1000)
    opened.goto(f"http://127.0.0.1:{pages}/")
    yield opened
    opened.close()


PLAY = "([name, url, queue, options]) => window.playStomp(name, url, queue, options)"


@pytest.mark.long
@pytest.mark.parametrize("client", IN_BROWSER)
def test_clients_in_chromium(server: Any, page: Any, client: str) -> None:
    url = f"ws://127.0.0.1:{server.port}/ws"
    facts = page.evaluate(PLAY, [client, url, f"/queue/{uuid4().hex}", {}])
    assert facts == wanted(client)


@pytest.mark.long
def test_heart_beats_over_a_minute_in_a_tab_behind_another(server: Any, page: Any, chromium: Any) -> None:
    """All clients at once, in a tab that is not looked at."""
    url = f"ws://127.0.0.1:{server.port}/ws"
    front = chromium.new_page()
    front.bring_to_front()
    page.set_default_timeout(2 * MINUTE)
    play = f"""async ([names, url, queue, options]) => Object.fromEntries(await Promise.all(
        names.map(async (name, at) => [name, await ({PLAY})([name, url, queue + at, options])])))"""
    found = page.evaluate(play, [list(IN_BROWSER), url, f"/queue/{uuid4().hex}", {"quiet": MINUTE}])
    front.close()
    for client in IN_BROWSER:
        beats = found[client].pop("beats")
        assert found[client] == wanted(client, quiet="still here"), client
        # The server sends them a little earlier than every 5 s.
        assert beats >= 10, (client, beats)


@pytest.mark.long
@pytest.mark.parametrize("client", RECONNECT)
def test_they_come_back_after_a_restart(
    start_server: Callable[..., Any], page: Any, client: str, tmp_path: Path
) -> None:
    first = start_server(directory=tmp_path)
    port = first.port
    page.expose_function("restart", lambda: _restart(first, start_server, tmp_path))
    url = f"ws://127.0.0.1:{port}/ws"
    play = "([name, url, queue]) => window.playStomp(name, url, queue, { restart: () => window.restart() })"
    facts = page.evaluate(play, [client, url, f"/queue/{uuid4().hex}"])
    assert facts == wanted(client, restart="after the restart")


def _restart(first: Any, start_server: Callable[..., Any], directory: Path) -> None:
    first.stop()
    start_server(f"--port={first.port}", directory=directory)


@pytest.mark.long
def test_a_page_from_elsewhere_is_refused(server: Any, chromium: Any, pages: int) -> None:
    """By another name, which leads to the same machine."""
    page = chromium.new_page()
    page.goto(f"http://elsewhere.localhost:{pages}/")
    heard = page.evaluate(
        """(url) => new Promise((resolve) => {
            const socket = new WebSocket(url, ['v12.stomp']);
            socket.onopen = () => resolve('open');
            socket.onclose = (event) => resolve(event.code);
        })""",
        f"ws://127.0.0.1:{server.port}/ws",
    )
    page.close()
    assert heard == 1006
    server.wait_for_log(
        r"GET /ws from 127\.0\.0\.1 was answered with 403: Pages of http://elsewhere\.localhost"
    )


@pytest.mark.long
def test_the_page_of_the_documentation(
    server: Any, node: str, chromium: Any, pages: int, bundle: Path
) -> None:
    """As it stands, but for the port; what it gets of the library is the one that is installed here."""
    text = (HERE.parents[1] / "docs/how-to/serve-a-browser.md").read_text()
    (example,) = re.findall(r"```html\n(.*?)```", text, re.DOTALL)
    assert ":61613/ws" in example
    (bundle / "chat.html").write_text(example.replace(":61613/ws", f":{server.port}/ws"))
    command = [str(NODE / "node_modules/.bin/esbuild"), "@stomp/stompjs", "--bundle", "--format=esm"]
    library = subprocess.run(command, cwd=NODE, check=True, capture_output=True, text=True).stdout
    context = chromium.new_context()
    context.route(
        "https://esm.sh/@stomp/stompjs@7.5.0",
        lambda route: route.fulfill(
            body=library,
            content_type="text/javascript",
            headers={"Access-Control-Allow-Origin": "*"},
        ),
    )
    windows = [context.new_page() for _ in range(2)]
    subscribed = server.log().count("Subscribing to /topic/chat")
    for window in windows:
        window.goto(f"http://127.0.0.1:{pages}/chat.html")
    server.wait_for_log(r"(?s)" + "Subscribing to /topic/chat.*" * (subscribed + 2))
    windows[0].fill("input", "hello, grüße")
    windows[0].press("input", "Enter")
    for window in windows:
        window.wait_for_selector("li:text('hello, grüße')")
    context.close()

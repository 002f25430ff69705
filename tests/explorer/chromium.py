"""A headless Chromium, driven over its DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
PATIENCE = 30.0  # seconds


def executable() -> str | None:
    """Path of a Chromium on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


REQUIRED = pytest.mark.skipif(
    executable() is None, reason="no Chromium on this machine (`apt-get install chromium`)"
)


class Session:
    """One page's socket.

    Attributes
    ----------
    events : list of dict
        What the page has told without being asked.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number, self.events = socket, 0, []

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and wait for its result."""
        self._number += 1
        await self._socket.send_str(
            json.dumps({"id": self._number, "method": method, "params": params})
        )
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), PATIENCE)
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    async def run(self, code: str) -> Any:
        """Value of an expression, awaited."""
        options = {"expression": code, "awaitPromise": True, "returnByValue": True}
        result = await self.send("Runtime.evaluate", **options)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, code: str) -> None:
        """Wait until an expression is true."""
        for _ in range(int(PATIENCE * 10)):
            if await self.run(code):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never true: {code}")

    async def click(self, x: float, y: float) -> None:
        """Press the mouse at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    async def press(self, key: str) -> None:
        """Press a key: a character, or ``Enter``."""
        text = "\r" if key == "Enter" else key
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def picture(self, file: Path) -> None:
        """Write what the window shows."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def told(self, method: str) -> list[dict[str, Any]]:
        """Parameters of all events of a kind."""
        return [event["params"] for event in self.events if event.get("method") == method]


@asynccontextmanager
async def opened(folder: Path, width: int, scheme: str) -> AsyncGenerator[Session]:
    """Start a browser with an empty page of a width, in a colour scheme.

    Parameters
    ----------
    folder : Path
        Where it keeps its files: a new one each time.
    width : int
        Of the window, in pixels.
    scheme : str
        ``light`` or ``dark``.
    """
    command = [executable() or "", *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = await answer.json()
            url = next(one["webSocketDebuggerUrl"] for one in pages if one["type"] == "page")
            async with http.ws_connect(url, max_msg_size=0) as socket:
                session = Session(socket)
                for domain in ("Page", "Runtime", "Network"):
                    await session.send(f"{domain}.enable")
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                await session.send("Emulation.setDeviceMetricsOverride", **size)
                feature = {"name": "prefers-color-scheme", "value": scheme}
                await session.send("Emulation.setEmulatedMedia", features=[feature])
                yield session
    finally:
        process.terminate()
        process.wait(PATIENCE)


async def _port(file: Path) -> str:
    """Port that the browser listens at, which it writes when it is there."""
    for _ in range(int(PATIENCE * 10)):
        if file.is_file() and (lines := file.read_text().splitlines()):
            return lines[0]
        await asyncio.sleep(0.1)
    raise AssertionError(f"{file}: the browser did not start")

"""Results handed from one checkout to another by a DVC remote: a folder, and servers."""

import asyncio
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncssh
import pytest

from tests.pipeline.conftest import Project

STAGES = """stages:
  table:
    cmd: printf a,b > table.csv
    deps: [seed]
    outs: [table.csv]
  folder:
    cmd: mkdir folder && cp table.csv folder/x && echo > folder/é
    deps: [table.csv]
    outs: [folder]
"""
OUTS = {"table.csv": b"a,b", "folder/x": b"a,b", "folder/é": b"\n"}


class Files(BaseHTTPRequestHandler):
    """Gives files of a folder, and takes them."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        super().__init__(*arguments)

    @property
    def file(self):
        return self.folder / self.path.lstrip("/")

    def _answer(self, status, content=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        there = self.file.is_file()
        if there:
            self._answer(200, self.file.read_bytes())
        else:
            self._answer(404)

    do_HEAD = do_GET

    def do_PUT(self):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while n := int(self.rfile.readline(), 16):
                content += self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
        else:
            content = self.rfile.read(int(self.headers["Content-Length"]))
        self.file.write_bytes(content)
        self._answer(201)

    do_POST = do_PUT

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def folder(tmp_path):
    """A folder as a remote, as on a disk that both see."""
    return str(tmp_path / "shared"), {}


@pytest.fixture
def http(tmp_path):
    """An HTTP server in this process."""
    (tmp_path / "http").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, tmp_path / "http"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/results", {"method": "PUT"}
    server.shutdown()
    server.server_close()


@pytest.fixture
def ssh(tmp_path):
    """An SSH server in this process."""
    root, ready = tmp_path / "ssh", threading.Event()
    root.mkdir()
    loop, actual = asyncio.new_event_loop(), {}

    class Anyone(asyncssh.SSHServer):
        def begin_auth(self, username):
            return False

    async def listen():
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Anyone, sftp_factory=True,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        )  # fmt: skip
        actual["port"] = server.sockets[0].getsockname()[1]
        actual["server"] = server
        ready.set()

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(listen())
        loop.run_forever()

    async def close():
        actual["server"].close()
        await actual["server"].wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield f"ssh://anyone@127.0.0.1:{actual['port']}{root}/results", {}
    asyncio.run_coroutine_threadsafe(close(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def done(project, *command):
    """Run a command, which must succeed."""
    result = project.run(*command, DVC_SITE_CACHE_DIR=f"{project.folder}.site")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def finished(folder, url, settings):
    """Make a checkout whose stages have run, with a remote."""
    one = Project(folder)
    folder.mkdir()
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "seed").write_text("0")
    done(one, "git", "init", "-q", "-b", "main")
    done(one, "git", "config", "user.email", "test@example.com")
    done(one, "git", "config", "user.name", "test")
    done(one, "dvc", "init")
    done(one, "dvc", "remote", "add", "--default", "shared", url)
    for name, value in settings.items():
        done(one, "dvc", "remote", "modify", "shared", name, value)
    done(one, "dvc", "repro")
    done(one, "git", "add", ".")
    done(one, "git", "commit", "-qm", "results")
    return one


@pytest.mark.parametrize("kind", ["folder", "http", "ssh"])
def test_what_one_checkout_pushes_another_pulls_byte_by_byte(kind, tmp_path, request):
    one = finished(tmp_path / "one", *request.getfixturevalue(kind))
    done(one, "dvc", "push")
    other = Project(tmp_path / "other")
    done(one, "git", "clone", "-q", str(one.folder), str(other.folder))
    shutil.rmtree(one.folder / ".dvc/cache")  # nothing can come from there
    assert not (other.folder / "table.csv").exists()
    done(other, "dvc", "pull")
    assert {name: (other.folder / name).read_bytes() for name in OUTS} == OUTS
    assert "up to date" in done(other, "dvc", "repro")

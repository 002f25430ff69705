"""Stands for `python` and for `dvc` in a project: gives the command to `server`, or runs it itself."""

import json
import os
import signal
import socket
import sys


def main(path: str, python: str, name: str, *arguments: str) -> None:
    """Ask for a stage or for DVC; whatever else it is, become that."""
    if name == "dvc":
        program = "dvc"
    elif arguments[:1] == ("-m",) and arguments[1].startswith("stages."):
        program, arguments = arguments[1], arguments[2:]
    else:
        os.execv(python, [python, *arguments])
    asked = {"folder": os.getcwd(), "environment": dict(os.environ)}
    asked |= {"program": program, "arguments": list(arguments)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b" "], [0, 1, 2])
        connection.sendall(json.dumps(asked).encode())
        connection.shutdown(socket.SHUT_WR)
        status = int(connection.recv(8))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])

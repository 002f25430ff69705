"""Stands for `python`, `dvc` and `torchrun`: gives the command to `server`, or runs it itself.

Itself it runs what is no stage, and the programs that the variable COLD names.
"""

import json
import os
import signal
import socket
import sys


def main(path: str, python: str, name: str, *arguments: str) -> None:
    """Ask for the command, or become it."""
    program, options = name, arguments
    if name == "python":
        program, options = _stage(arguments)
    if not program or program in os.environ.get("COLD", "").split():
        own = os.path.join(os.path.dirname(python), name)
        os.execv(own, [own, *arguments])
    asked = {"folder": os.getcwd(), "environment": dict(os.environ)}
    asked |= {"program": program, "arguments": list(options)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b" "], [0, 1, 2])
        connection.sendall(json.dumps(asked).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as stream:
            child = int(stream.readline())
            for number in (signal.SIGINT, signal.SIGTERM):  # a launcher ends what it has started
                signal.signal(number, lambda number, _: os.kill(child, number))
            status = int(stream.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _stage(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Module and options of a stage; an empty name where `python` is to run something else."""
    if arguments[:1] == ("-u",):  # as a launcher starts it
        arguments = arguments[1:]
    if arguments[:1] == ("-m",) and arguments[1].startswith("stages."):
        return arguments[1], arguments[2:]
    return "", arguments


if __name__ == "__main__":
    main(*sys.argv[1:])

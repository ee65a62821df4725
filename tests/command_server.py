"""A process that has imported the libraries and forks a child for every command, which starts at once.

A command runs in a process of its own, with its own folder, environment, streams and exit code, as the installed
`weatherglass` would; only the imports, seconds for each of a hundred commands, are done once. Linux and macOS.

    server = CommandServer(folder)       # folder / "bin" holds `weatherglass` and `python`: put it first on PATH
    server.stop()

As a script (`python command_server.py SOCKET`) it is the server.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from types import FrameType

PRELOADED = (
    *("torch", "torchvision", "timm", "numba", "cv2", "sklearn.datasets", "scipy.stats", "pyarrow.parquet", "pandas"),
    *("weatherglass.cli.evaluate", "weatherglass.evaluation.evaluate", "weatherglass.evaluation.summary"),
    *("weatherglass.models.load", "weatherglass.models.registration", "weatherglass.models.described"),
    *("weatherglass.corruptions.engine", "weatherglass.report.document", "weatherglass.data.load"),
)
"""Imported before the first fork. None of them computes anything: a process that has used several threads must not be
forked."""

CLIENT = """#!{python} -IS
import json, os, socket, sys
if {name!r} == "python" and not (len(sys.argv) > 1 and sys.argv[1].endswith(".py")):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(8, "little")], [0, 1, 2])
server.sendall(request)
sys.exit(int.from_bytes(server.recv(4), "little"))
"""


class CommandServer:
    """The server as a child of the tests."""

    def __init__(self, folder: Path) -> None:
        """`folder` must be new; its path must be short, as it holds a socket."""
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        address = str(folder / "socket")
        for name in ("weatherglass", "python"):
            client = self.bin / name
            client.write_text(CLIENT.format(python=sys.executable, name=name, address=address))
            client.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, address], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def stop(self) -> None:
        """End the server and whatever it still runs."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def serve(address: str) -> tuple[str, list[str]]:
    """Accept commands for ever; returns in the child that is to run one, with its name and arguments."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    signal.signal(signal.SIGCHLD, _collect)
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        length, streams, _, _ = socket.recv_fds(connection, 8, 3)
        request = b""
        while len(request) < int.from_bytes(length, "little"):
            request += connection.recv(1 << 16)
        name, arguments, folder, environment = json.loads(request)
        if command := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
            connection.sendall((code if code >= 0 else 128 - code).to_bytes(4, "little"))
            os._exit(0)
        connection.close()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        return name, arguments


def _collect(_signal: int, _frame: FrameType | None) -> None:
    """Take leave of finished children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def run(name: str, arguments: list[str]) -> int:
    """The command in this process; its exit code."""
    try:
        if name == "python":
            sys.argv = arguments
            sys.path[0] = str(Path(arguments[0]).parent.absolute())
            runpy.run_path(arguments[0], run_name="__main__")
        else:
            from weatherglass.cli.main import main

            sys.argv = [name, *arguments]
            sys.path.pop(0)
            main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for module in PRELOADED:
        __import__(module)
    gc.freeze()  # what is imported is never looked at again, so that children go on sharing its memory
    code = run(*serve(sys.argv[1]))
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking the libraries apart would take as long as importing them

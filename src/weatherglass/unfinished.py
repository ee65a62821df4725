"""Names for files that are being written: beside the finished one, hidden, and never another writer's."""

import secrets
from pathlib import Path

ENDING = ".part"


def unfinished(path: Path) -> Path:
    """A new hidden path beside `path`, to write to and then rename.

    Process numbers do not tell writers apart: containers that share a folder often have equal ones. So the name holds
    64 random bits, and the writer opens it with "x", which refuses a file that is there. It holds the start of the
    file's name for whoever finds a leftover, and stays short where that is as long as the file system allows.
    """
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}{ENDING}")

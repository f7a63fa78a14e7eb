"""Run a command whose output, or whose progress, goes to a terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from .command import COMMAND


def shown(columns: int, *arguments: object) -> str:
    """Return what the command shows on a terminal, stdout and stderr together, without colors."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    command = [COMMAND, *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        read = b""
        try:
            while chunk := os.read(ours, 65536):
                read += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        finally:
            os.close(ours)
        assert process.wait() == 0, read
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read.decode()).replace("\r\n", "\n")

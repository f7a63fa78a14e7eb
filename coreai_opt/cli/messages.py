"""Messages of the Python API in the words of the command line.

The API says ``qscheme must be QScheme.SYMMETRIC``; who typed ``--qscheme asymmetric`` should read
``--qscheme must be symmetric``.
"""

import re

from coreai_opt.cli.console import StdoutError
from coreai_opt.settings.settings import SETTINGS

_OPTIONS = {name: f"--{name.replace('_', '-')}" for name in (*SETTINGS, "importance", "min_sqnr")}

_MEMBERS = re.compile(r"<\w+\.\w+: '(\w+)'>|\b(?:DType|QScheme|CompressionGranularity)\.(\w+)")
_ARGUMENT = re.compile(rf"\b({'|'.join(_OPTIONS)})(?:=\"?([^\s,\".]+)\"?| (?=(?:must|is) ))")
_RULE = re.compile(r"\brule \d+:")


def for_command(error: BaseException | str) -> str:
    """Return what an error, or a warning, has to say to who typed a command.

    Enum members become their values and arguments the options of that name, but for what is said
    about a rule: its keys have the names of arguments.
    """
    message = _MEMBERS.sub(lambda found: found[1] or found[2].lower(), _text(error))
    if _RULE.search(message):
        return message
    return _ARGUMENT.sub(_option, message).replace("must be None", "must be left out")


def _option(found: re.Match[str]) -> str:
    return f"{_OPTIONS[found[1]]} {found[2] or ''}"


def _text(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        return f"{error.filename}: {error.strerror}"
    # Core AI says "failed to persist …" and keeps why (a full disk, say) in the cause.
    is_told = isinstance(error, StdoutError)
    cause = f": {error.__cause__}" if error.__cause__ and not is_told else ""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{error}{cause}{notes}" if str(error) else type(error).__name__

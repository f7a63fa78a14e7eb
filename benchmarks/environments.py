"""The environments of the benchmark, one for each contender, in ``.venv-bench-*``.

Standard library only: this is what runs before anything is installed. The project itself is
installed anew each time; a peer once, until other versions are asked for, and a peer that cannot
be installed is left out.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent

OURS = "ours"
OUR_REQUIREMENTS = (f"{HERE.parent}[coreai]",)

PEERS = {
    "coreai_opt_apple": (
        *("coreai-opt==0.4.0", "coreai-core", "coreai-torch", "torch==2.13.0"),
        "scikit-learn",
    ),
    "torchao": ("torchao", "torch==2.13.0", "numpy"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "mlx": ("mlx[cpu]", "numpy"),
    "ggml": ("ggml-python", "numpy"),
}
"""Peers by their module in ``contenders``, and what each needs."""

CALIBRATED_PEERS = {
    "coremltools": ("coremltools", "torch==2.13.0", "scikit-learn"),
    "llmcompressor": ("llmcompressor", "torch==2.13.0"),
    "mlx_lm": ("mlx-lm", "mlx[cpu]"),
}
"""Peers that round with second moments, by their function in ``calibrated_child.py``."""

TABLE_PEERS = {"kmeans1d": ("kmeans1d", "numpy")}
"""Peers that have look-up tables alone, by their function in ``palettize_child.py``."""

PALETTIZING_PEERS = ("coreai_opt_apple", "coremltools", *TABLE_PEERS)
"""All that have functions there."""

ALL_PEERS = {**PEERS, **CALIBRATED_PEERS, **TABLE_PEERS}


def folder_of(environment: str) -> Path:
    """Return where an environment is."""
    return HERE.parent / f".venv-bench-{environment}"


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment."""
    return folder_of(environment) / "bin" / "python"


def installed_peers() -> list[str]:
    """Return the peers that have been installed."""
    return [peer for peer in ALL_PEERS if _is_installed(peer)]


def _stamp(environment: str) -> Path:
    """Return the file that says which requirements an environment was made for."""
    return folder_of(environment) / "installed"


def _is_installed(peer: str) -> bool:
    """Say whether a peer is there in the version that is asked for now."""
    return _stamp(peer).exists() and _stamp(peer).read_text().split() == [*ALL_PEERS[peer]]


def _install(environment: str, requirements: tuple[str, ...]) -> bool:
    """Install into an environment, and say whether that went well."""
    if not python_of(environment).exists():
        venv.create(folder_of(environment), with_pip=True)
    print(f"installing {environment}: {' '.join(requirements)}", flush=True)
    pip = [python_of(environment), "-m", "pip", "install", "--quiet", *requirements]
    return subprocess.run(pip, check=False).returncode == 0


def main() -> int:
    """Install everything."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--peers", nargs="*", choices=tuple(ALL_PEERS), default=tuple(ALL_PEERS))
    parser.add_argument("--peers-only", action="store_true", help="leave the project itself out")
    arguments = parser.parse_args()
    if not arguments.peers_only and not _install(OURS, OUR_REQUIREMENTS):
        return 1
    missing = []
    for peer in arguments.peers:
        if not _is_installed(peer):
            if _install(peer, ALL_PEERS[peer]):
                _stamp(peer).write_text("\n".join(ALL_PEERS[peer]))
            else:
                missing.append(peer)
    if missing:
        print(f"*** COULD NOT BE INSTALLED, AND ARE LEFT OUT: {', '.join(missing)} ***")
    return 0


if __name__ == "__main__":
    sys.exit(main())

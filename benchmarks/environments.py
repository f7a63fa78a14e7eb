"""The environments of the benchmark, one for each contender, in ``.venv-bench-*``.

Standard library only: this is what runs before anything is installed. The project itself is
installed anew each time; a peer once, and a peer that cannot be installed is left out.
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
    "coreai_opt_apple": ("coreai-opt==0.3.0", "coreai-core", "coreai-torch", "torch==2.13.0"),
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

ALL_PEERS = {**PEERS, **CALIBRATED_PEERS}


def folder_of(environment: str) -> Path:
    """Return where an environment is."""
    return HERE.parent / f".venv-bench-{environment}"


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment."""
    return folder_of(environment) / "bin" / "python"


def installed_peers() -> list[str]:
    """Return the peers that have been installed."""
    return [peer for peer in ALL_PEERS if _stamp(peer).exists()]


def _stamp(environment: str) -> Path:
    return folder_of(environment) / "installed"


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
        if not _stamp(peer).exists():
            if _install(peer, ALL_PEERS[peer]):
                _stamp(peer).touch()
            else:
                missing.append(peer)
    if missing:
        print(f"*** COULD NOT BE INSTALLED, AND ARE LEFT OUT: {', '.join(missing)} ***")
    return 0


if __name__ == "__main__":
    sys.exit(main())

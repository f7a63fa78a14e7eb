"""What is imported when, and what is said where something is missing or doubled."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import coreai_opt

PACKAGE = Path(coreai_opt.__file__).parent


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter that finds the same packages, and those in ``path``."""
    setup = f"import sys; sys.path[:0] = {[str(p) for p in (*path, PACKAGE.parent)]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code], capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("module", ["coreai_opt", "coreai_opt.coreai_utils"])
def test_core_ai_is_not_imported_before_it_is_needed(module: str) -> None:
    find = "print([name for name in sys.modules if name.split('.')[0] == 'coreai'])"
    done = python(f"import {module}; {find}")
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_bad_arguments_are_refused_without_core_ai() -> None:
    done = python(
        "sys.modules['coreai'] = None\n"
        "from coreai_opt.coreai_utils import quantize_weights\n"
        "try: quantize_weights(None, 'int3')\n"
        "except ValueError as error: print(error)"
    )
    assert "Unsupported weight dtype 'int3'" in done.stdout


def test_without_core_ai_the_error_names_the_package_and_its_platforms() -> None:
    done = python(
        "sys.modules['coreai'] = None\n"
        "from coreai_opt.coreai_utils import quantize_weights\n"
        "try: quantize_weights(None, 'int4')\n"
        "except ImportError as error: print(error)"
    )
    for word in ("coreai-core", "Linux x86-64", "macOS arm64", "quantize_array"):
        assert word in done.stdout


def test_one_module_imports_core_ai() -> None:
    importing = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^ *(from|import) coreai\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["program/ir/core_ai.py"]


def test_apples_package_beside_ours_is_warned_of_once(tmp_path: Path) -> None:
    info = tmp_path / "coreai_opt-0.4.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coreai-opt\nVersion: 0.4.0\n")
    done = python("import coreai_opt.coreai_utils", tmp_path)
    assert done.stderr.count("coreai-opt 0.4.0 is installed beside coreai-opt-native") == 1
    assert len(done.stderr.splitlines()) == 1


def test_enums_are_the_same_objects_everywhere() -> None:
    from coreai_opt import coreai_utils
    from coreai_opt.coreai_utils import common

    for name in ("DType", "QScheme", "CompressionGranularity"):
        assert getattr(coreai_utils, name) is getattr(common, name) is getattr(coreai_opt, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("coreai_opt.compare", "OutputComparison"),
        ("coreai_opt.errors", "WeightError"),
        ("coreai_opt.plan", "Choice"),
        ("coreai_opt.plan", "FrontierPoint"),
        ("coreai_opt.plan", "QuantizationPlan"),
        ("coreai_opt.records", "Status"),
        ("coreai_opt.records", "WeightRecord"),
        ("coreai_opt.reports", "QuantizationReport"),
        ("coreai_opt.rules", "Rule"),
        ("coreai_opt.rules", "dump_rules"),
        ("coreai_opt.rules", "load_rules"),
    ],
)
def test_what_was_documented_in_a_module_is_still_found_there(module: str, name: str) -> None:
    done = python(
        f"import coreai_opt\nfrom {module} import {name}\nprint({name} is coreai_opt.{name})"
    )
    assert done.stdout == "True\n"


def test_quantize_weights_is_where_apples_package_has_it() -> None:
    done = python(
        "from coreai_opt.coreai_utils.passes.weight_quantization import quantize_weights\n"
        "import coreai_opt.coreai_utils\n"
        "print(quantize_weights is coreai_opt.coreai_utils.quantize_weights)"
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize("module", ["coreai_opt", "coreai_opt.cli"])
def test_the_command_runs_as_a_module(module: str) -> None:
    command = [sys.executable, "-P", "-m", module, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"coreai-opt-native {coreai_opt.__version__}\n"

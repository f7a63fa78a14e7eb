"""Which backend runs, and the validator that runs both."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from coreai_opt import BackendMismatchError, quantize_array
from coreai_opt.arrays import backends
from coreai_opt.arrays.threads import processors

from ..support.corpus import Spec, instruction_sets

WEIGHT = np.random.default_rng(0).normal(0, 0.02, (8, 64)).astype(np.float32)


def quantize(backend: str = "auto", spec: Spec = Spec("int4")) -> Any:  # noqa: B008  # a tuple
    return spec.quantize(WEIGHT, (1, 32), backend)


@pytest.fixture(autouse=True)
def no_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COREAI_OPT_BACKEND", raising=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the implementations in the order in which they are called."""
    called: list[str] = []

    def spy(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return function(*args, **kwargs)

        return recorded

    native, reference = backends.NativeBackend, backends.ReferenceBackend
    monkeypatch.setattr(native, "quantize", spy("native", native.quantize))
    monkeypatch.setattr(reference, "quantize", spy("reference", reference.quantize))
    return called


@pytest.fixture
def without_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the extension module had not been built."""
    monkeypatch.setattr(backends, "_native", None)
    monkeypatch.setattr(backends, "_why_not_native", ImportError("simulated: not built"))
    backends._warn_native_missing.cache_clear()
    yield
    backends._warn_native_missing.cache_clear()


def test_native_module_really_loaded() -> None:
    assert backends._native is not None, f"the native module: {backends._why_not_native}"
    assert backends._native.__file__.endswith((".so", ".pyd")), "not a compiled module"


@pytest.mark.parametrize(
    ("backend", "run"),
    [("auto", ["native"]), ("native", ["native"]), ("reference", ["reference"]),
     ("validate", ["native", "reference"])],
)  # fmt: skip
def test_which_implementations_run(backend: str, run: list[str], calls: list[str]) -> None:
    quantize(backend)
    assert calls == run


@pytest.mark.parametrize(
    ("value", "run"),
    [("auto", ["native"]), ("", ["native"]), ("native", ["native"]), ("reference", ["reference"]),
     ("validate", ["native", "reference"])],
)  # fmt: skip
def test_environment_variable_says_what_auto_means(
    value: str, run: list[str], calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREAI_OPT_BACKEND", value)
    quantize("auto")
    assert calls == run
    calls.clear()
    quantize("reference")
    assert calls == ["reference"], "an explicit backend is not overridden"


@pytest.mark.parametrize("value", ["fast", "nativ", " "])
def test_bad_environment_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREAI_OPT_BACKEND", value)
    with pytest.raises(ValueError, match="COREAI_OPT_BACKEND must be one of 'auto', ") as caught:
        quantize("auto")
    assert repr(value) in str(caught.value)
    quantize("reference")  # does not ask the variable


def test_without_native_auto_warns_once_and_runs_the_reference(
    without_native: None, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="coreai_opt"):
        quantize("auto")
        quantize("auto")
    assert calls == ["reference", "reference"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("coreai_opt", "WARNING")
    assert "simulated: not built" in record.getMessage()


@pytest.mark.parametrize("backend", ["native", "validate"])
def test_without_native_what_needs_it_raises(backend: str, without_native: None) -> None:
    with pytest.raises(ImportError, match=f"'{backend}'.*simulated: not built"):
        quantize(backend)


def test_without_native_validate_in_the_environment_raises_too(
    without_native: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREAI_OPT_BACKEND", "validate")
    with pytest.raises(ImportError, match="simulated: not built"):
        quantize("auto")


def test_import_survives_a_module_that_does_not_load() -> None:
    """In a fresh interpreter in which importing the extension fails."""
    script = """
import sys
sys.modules["coreai_opt._native"] = None  # makes the import raise ImportError
import numpy, coreai_opt
result = coreai_opt.quantize_array(numpy.ones(4, "float32"), "int8", block_sizes=[0])
print(result.codes().tolist())
"""
    run = _python(script)
    assert run.stdout.strip() == "[127, 127, 127, 127]"
    assert run.stderr.count("native module did not load") == 1


def test_import_loads_neither_core_ai_nor_torch() -> None:
    script = """
import sys, coreai_opt
slow = {"coreai", "torch", "rich", "hypothesis", "coreai_opt.coreai_utils", "coreai_opt.program"}
print(sorted(slow & set(sys.modules)))
"""
    assert _python(script).stdout.strip() == "[]"


def _python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )


def test_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREAI_OPT_ISA", "mmx")
    with pytest.raises(ValueError, match=r"COREAI_OPT_ISA must be one of portable.*'mmx'"):
        quantize("native")


def test_best_instruction_set_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COREAI_OPT_ISA", raising=False)
    available = instruction_sets()
    assert available[0] == "portable", "always there"
    assert backends._native.level() == available[-1]


@pytest.mark.parametrize(
    ("cap", "rest"),
    [
        ("portable", ["portable"]),
        ("neon", ["neon", "portable"]),
        ("avx2", ["avx2", "portable"]),
        ("avx512", ["avx512", "avx2", "portable"]),
    ],
)
def test_instruction_set_is_capped(
    monkeypatch: pytest.MonkeyPatch, cap: str, rest: list[str]
) -> None:
    """To what is there: the same setting serves all machines of a fleet."""
    monkeypatch.setenv("COREAI_OPT_ISA", cap)
    expected = next((name for name in rest if name in instruction_sets()), None)
    assert backends._native.level() == expected


Quantized = tuple[Any, Any, Any]


def _corrupt(
    monkeypatch: pytest.MonkeyPatch, corruption: Callable[[Any, Any, Any], Quantized]
) -> None:
    """Let the native backend return something else than it computed."""
    native = backends.NativeBackend
    honest = native.quantize
    monkeypatch.setattr(native, "quantize", lambda *args: corruption(*honest(*args)))


def _mismatch(spec: Spec = Spec("int4")) -> str:  # noqa: B008  # a tuple
    with pytest.raises(BackendMismatchError) as caught:
        quantize("validate", spec)
    return str(caught.value)


def test_validate_returns_the_native_result() -> None:
    assert quantize("validate").packed.tobytes() == quantize("native").packed.tobytes()


def test_validate_reports_a_wrong_code(monkeypatch: pytest.MonkeyPatch) -> None:
    want = quantize("reference").codes()

    def flip(packed: Any, scale: Any, zero_point: Any) -> Quantized:
        packed[100] ^= 0x10  # codes 200 and 201: the high nibble is 201's, at (3, 9)
        packed[200] ^= 0xFF
        return packed, scale, zero_point

    _corrupt(monkeypatch, flip)
    message = _mismatch()
    code = int(want[3, 9])
    for text in ("codes", "int4", "float32", "(8, 64)", "index (3, 9)",
                 f"native {(code ^ 1)}, reference {code}"):  # fmt: skip
        assert text in message


def test_validate_reports_a_wrong_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    want = quantize("reference").scale

    def nudge(packed: Any, scale: Any, zero_point: Any) -> Quantized:
        scale[5, 1] = np.nextafter(scale[5, 1], np.float32(1))
        return packed, scale, zero_point

    _corrupt(monkeypatch, nudge)
    message = _mismatch()
    got = np.nextafter(want[5, 1], np.float32(1))
    for text in ("scale", "int4", "index (5, 1)", f"native {got}, reference {want[5, 1]}"):
        assert text in message


def test_validate_reports_a_wrong_zero_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def shift(packed: Any, scale: Any, zero_point: Any) -> Quantized:
        zero_point[0, 1] = 9
        return packed, scale, zero_point

    _corrupt(monkeypatch, shift)
    message = _mismatch(Spec("uint4"))
    for text in ("zero point", "uint4", "index (0, 1)", "native 9, reference 7"):
        assert text in message


def test_validate_sees_the_sign_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def negate_zero(packed: Any, scale: Any, zero_point: Any) -> Quantized:
        return packed, scale, -zero_point

    _corrupt(monkeypatch, negate_zero)
    assert "native -0" in _mismatch(Spec("fp8_e4m3fn"))


def test_validate_sees_bits_that_are_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unused high half of the last byte."""

    def dirty_tail(packed: Any, scale: Any, zero_point: Any) -> Quantized:
        packed[-1] |= 0x80
        return packed, scale, zero_point

    _corrupt(monkeypatch, dirty_tail)
    with pytest.raises(BackendMismatchError, match="packed bytes"):
        quantize_array(WEIGHT[:5, :7], "int4", block_sizes=(1, 0), backend="validate")


@pytest.mark.parametrize(
    ("corruption", "text"),
    [
        (lambda packed, scale, zero: (packed, scale.astype(np.float16), zero), "float16"),
        (lambda packed, scale, zero: (packed, scale.ravel(), zero), "(16,)"),
        (lambda packed, scale, zero: (packed, scale, zero.astype(np.uint8)), "uint8"),
    ],
)
def test_validate_sees_another_dtype_or_shape(
    corruption: Callable[[Any, Any, Any], Quantized], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _corrupt(monkeypatch, corruption)
    assert text in _mismatch()


def test_validate_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREAI_OPT_BACKEND", "validate")
    _corrupt(monkeypatch, lambda packed, scale, zero: (packed, 2 * scale, zero))
    with pytest.raises(BackendMismatchError, match="scale"):
        quantize("auto")


@pytest.mark.parametrize("num_threads", [1, 2, 3, 8])
def test_number_of_threads_reaches_the_native_backend(
    num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    honest = backends._native.quantize

    def recording(*args: Any, num_threads: int, **kwargs: Any) -> Any:
        seen.append(num_threads)
        return honest(*args, num_threads=num_threads, **kwargs)

    monkeypatch.setattr(backends._native, "quantize", recording)
    Spec("int4").quantize(WEIGHT, (1, 32), "native", num_threads)
    quantize_array(WEIGHT, "int4", block_sizes=(1, 32), backend="native")
    assert seen == [num_threads, processors()]

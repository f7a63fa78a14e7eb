"""onnxruntime: MatMulNBits' quantizer for blocks, else QuantizeLinear in a graph of its own.

The graph finds the scale (Abs, ReduceMax, Div) and quantizes. Weights of MatMulNBits are ``[in,
out]`` with blocks along ``in``; where the case has ``[out, in]`` it gets its own layout all the
same, because that is how it would hold that layer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.capi import _pybind_state as native

from cases import BLOCK, Case

DISTRIBUTIONS = ("onnxruntime",)

_BLOCKWISE = {
    2: native.quantize_matmul_2bits,
    4: native.quantize_matmul_4bits,
    8: native.quantize_matmul_8bits,
}
_CODES = {
    "int4": (TensorProto.INT4, 7.0),
    "int8": (TensorProto.INT8, 127.0),
    "fp8_e4m3fn": (TensorProto.FLOAT8E4M3FN, 448.0),
}


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any] | None:
    """See ``contenders``. bfloat16, MX formats and asymmetric channels have no such operator."""
    if case.source == "bfloat16" or case.e8m0 or threads != 1:
        return None
    if case.granularity == "block":
        return None if case.dtype.startswith("fp") else _prepare_blocks(case, weight)
    return None if case.asymmetric else _prepare_graph(case, weight)


def _prepare_blocks(case: Case, weight: np.ndarray) -> Callable[[], Any]:
    rows, columns = case.shape
    blocks = rows // BLOCK
    quantize = _BLOCKWISE[case.bits]

    def run() -> Any:
        packed = np.zeros((columns, blocks, BLOCK * case.bits // 8), np.uint8)
        zero_point = np.zeros((columns, blocks * case.bits // 8), np.uint8)
        scale = np.zeros((columns, blocks), weight.dtype)
        quantize(packed, weight, scale, zero_point, BLOCK, columns, rows, not case.asymmetric)
        return packed, scale, zero_point

    return run


def _prepare_graph(case: Case, weight: np.ndarray) -> Callable[[], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = _graph(case).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = session.io_binding()
    inputs.bind_cpu_input("weight", weight)
    inputs.bind_output("codes")
    inputs.bind_output("scale")

    def run() -> Any:
        session.run_with_iobinding(inputs)

    return run


def _graph(case: Case) -> Any:
    kind, largest = _CODES[case.dtype]
    source = helper.np_dtype_to_tensor_dtype(np.dtype(case.source))
    reduced = [0, 1] if case.granularity == "tensor" else [case.axis]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [len(reduced)], reduced),
        helper.make_tensor("largest", source, [], [largest]),
    ]
    nodes = [
        helper.make_node("Abs", ["weight"], ["magnitude"]),
        helper.make_node("ReduceMax", ["magnitude", "axes"], ["absmax"], keepdims=0),
        helper.make_node("Div", ["absmax", "largest"], ["scale"]),
        helper.make_node(
            "QuantizeLinear", ["weight", "scale"], ["codes"], axis=1 - case.axis, output_dtype=kind
        ),
    ]
    inputs = [helper.make_tensor_value_info("weight", source, case.shape)]
    outputs = [
        helper.make_tensor_value_info("codes", kind, None),
        helper.make_tensor_value_info("scale", source, None),
    ]
    graph = helper.make_graph(nodes, "quantize", inputs, outputs, constants)
    opset = helper.make_opsetid("", 21)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)

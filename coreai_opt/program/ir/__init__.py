"""Core AI's IR in the few words the project needs.

``coreai-core`` is a beta and most of what is used here is private to it, so everything that may
move with its next release is in this folder. What is known about it was found by trying; what was
surprising is in the comments.

An *op* is an MLIR operation, a *value* one of its results, and an *element type* is spelled as MLIR
spells it: ``"f16"``, ``"si4"``, ``"f8E8M0FNU"``.

    core_ai     Core AI itself; the only module that imports it
    private_names  what is used of Core AI and may change with its next release
    tensors     element types, and types of tensors
    ops         ops, who uses them, and what they use
    signatures  what can be run: inputs, states and outputs of graphs
    graphs      the graphs of a program, and who invokes them
    origins     where an op comes from, by its debug information
    constants   constants, read into arrays
    builder     new ops in the place of old ones
    probes      values as outputs, and float32 instead of half floats
    saving      programs on disk
"""

from coreai_opt.program.ir.builder import Builder, Parts, replace
from coreai_opt.program.ir.constants import (
    Buffer,
    constant_value,
    is_splat,
    read_constant,
    read_integers,
    read_packed,
    splat_value,
    stored_bytes,
)
from coreai_opt.program.ir.core_ai import AIModelAsset, AIProgram, NDArray, check_program
from coreai_opt.program.ir.graphs import INVOKE, OUTPUT, Graph, Graphs, argument_of_graph
from coreai_opt.program.ir.ops import (
    BLOCKWISE_SHIFT_SCALE,
    BUILD_SPARSE,
    CONSTANT,
    LUT_TO_DENSE,
    SPARSE_TO_DENSE,
    TRANSPOSE,
    Use,
    constants_of,
    decoders_after,
    graph_name,
    made_from,
    nested,
    operand_constant,
    operations,
    sparse_of,
    table_of,
    uses,
)
from coreai_opt.program.ir.origins import Origin, identifier, location_text, origin
from coreai_opt.program.ir.probes import Probe, expose, probe_operand, widen_to_float32
from coreai_opt.program.ir.saving import save
from coreai_opt.program.ir.signatures import (
    Port,
    Signature,
    function_inputs,
    functions,
    port,
    read_output,
)
from coreai_opt.program.ir.tensors import (
    Op,
    Tensor,
    Type,
    Value,
    bits_of,
    element_type,
    is_float,
    lengths,
    static_tensor,
    tensor_of,
)

__all__ = [
    "BLOCKWISE_SHIFT_SCALE",
    "BUILD_SPARSE",
    "CONSTANT",
    "INVOKE",
    "LUT_TO_DENSE",
    "OUTPUT",
    "SPARSE_TO_DENSE",
    "TRANSPOSE",
    "AIModelAsset",
    "AIProgram",
    "Buffer",
    "Builder",
    "Graph",
    "Graphs",
    "NDArray",
    "Op",
    "Origin",
    "Parts",
    "Port",
    "Probe",
    "Signature",
    "Tensor",
    "Type",
    "Use",
    "Value",
    "argument_of_graph",
    "bits_of",
    "check_program",
    "constant_value",
    "constants_of",
    "decoders_after",
    "element_type",
    "expose",
    "function_inputs",
    "functions",
    "graph_name",
    "identifier",
    "is_float",
    "is_splat",
    "lengths",
    "location_text",
    "made_from",
    "nested",
    "operand_constant",
    "operations",
    "origin",
    "port",
    "probe_operand",
    "read_constant",
    "read_integers",
    "read_output",
    "read_packed",
    "replace",
    "save",
    "sparse_of",
    "splat_value",
    "static_tensor",
    "stored_bytes",
    "table_of",
    "tensor_of",
    "uses",
    "widen_to_float32",
]

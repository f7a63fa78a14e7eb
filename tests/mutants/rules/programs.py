"""Mutants of programs: finding, reading and writing weights."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "_check_program",
        (
            "digest-unchecked",
            'hashlib.file_digest(file, "sha256").digest() != digest.read_bytes()',
            "False",
            "an asset whose program is not that of its digest is damaged",
        ),
    ),
    *mutants(
        "write_text",
        (
            "file-in-place",
            'new.write_text(text, "utf-8")\n        os.replace(new, path)',
            'path.write_text(text, "utf-8")',
            "a report or plan that is there stays until the new one is complete",
        ),
    ),
    *mutants(
        "check_destination",
        (
            "existing-output",
            "if os.path.lexists(path) and not force:",
            "if False:",
            "an output that exists needs --force",
        ),
    ),
    *mutants(
        "_swap",
        (
            "old-asset-lost",
            "discarded if os.path.lexists(path) else path",
            "discarded",
            "the old asset comes back where the new one cannot be moved",
        ),
    ),
    *mutants(
        "_alone_in",
        (
            "no-turns",
            "        fcntl.flock(descriptor, fcntl.LOCK_EX)\n",
            "",
            "writers of one output take turns",
        ),
    ),
    *mutants(
        "read_quantized",
        (
            "stored-offset",
            "if ir.read_constant(offset2).any():",
            "if False:",
            "a weight whose decoder adds something else is not decoded",
        ),
    ),
    *mutants(
        "scheme_of.symmetric",
        (
            "stored-scheme",
            "is_neutral and bool((zero_point == first).all())",
            "bool((zero_point == first).all())",
            "only neutral zero points are symmetric",
        ),
    ),
    *mutants(
        "granularity_of",
        (
            "stored-blocks",
            "if is_channel and all(w or size == 1",
            "if is_channel or all(w or size == 1",
            "per channel, blocks are whole axes and single channels",
        ),
    ),
    *mutants(
        "find_weights",
        (
            "threshold",
            "tensor.size > weight_num_threshold",
            "tensor.size >= weight_num_threshold",
            "the threshold is exclusive",
        ),
    ),
    *mutants(
        "_is_weight",
        (
            "every-user",
            "all(as_weight)",
            "any(as_weight)",
            "every user must use a weight as its weight",
        ),
        (
            "unused",
            "bool(site.uses) and (",
            "(",
            "a constant without users is no weight",
        ),
    ),
    *mutants(
        "WEIGHT_OPERANDS",
        (
            "convolution-operand",
            "TRANSPOSED_CONVOLUTIONS, frozenset({1})",
            "TRANSPOSED_CONVOLUTIONS, frozenset({0, 1})",
            "a convolution's weight is operand 1",
        ),
        (
            "gather",
            "GATHER: frozenset({0})",
            "GATHER: frozenset()",
            "tables of embeddings are weights",
        ),
    ),
    *mutants(
        "_is_site",
        (
            "computed-data",
            "return ir.operand_constant(op, 0) is not None",
            "return True",
            "what decodes something computed is not a quantized weight",
        ),
        (
            "decoded-constants",
            "return all(use.op.name != ir.BLOCKWISE_SHIFT_SCALE for use in uses)",
            "return True",
            "the scales of quantized weights do not change the numbers of names",
        ),
    ),
    *mutants(
        "Names._names",
        (
            "same-name",
            "name if seen[name] == 1 else",
            "name if True else",
            "no two weights of a program have the same name",
        ),
    ),
    *mutants(
        "_operands",
        (
            "order-of-uses",
            "in sorted(found)",
            "in found",
            "a name does not depend on the order of a weight's uses",
        ),
    ),
    *mutants(
        "_matmul_axes",
        (
            "matmul-axes",
            "ChannelAxes(output=columns, input=rows, batch=batch)",
            "ChannelAxes(output=rows, input=columns, batch=batch)",
            "a matmul's right operand is [K, N]",
        ),
    ),
    *mutants(
        "_meanings",
        (
            "transposed-convolution-axes",
            "ChannelAxes(output=1, input=0, groups=_groups(use.op))",
            "ChannelAxes(output=0, input=1, groups=_groups(use.op))",
            "a transposed convolution's weight is [I, O, ...]",
        ),
    ),
    *mutants(
        "_behind_transpose",
        (
            "permutation",
            "output=source[axes.output]",
            "output=source.index(axes.output)",
            "axis i behind a transpose is axis permutation[i] in front of it",
        ),
    ),
    *mutants(
        "weight_blocks",
        (
            "group-of-blocks",
            "group = weight.shape[axes.input] // axes.groups",
            "group = weight.shape[axes.input]",
            "a block stays within a group",
        ),
        (
            "heads",
            "(axes.output, *axes.batch)",
            "(axes.output,)",
            "matrices of a batch do not share scales",
        ),
        (
            "groups",
            "whole = group if axes.groups > 1 else 0",
            "whole = 0",
            "groups of a transposed convolution do not share scales",
        ),
        (
            "fit-only-when-asked",
            "if not fit:",
            "if False:",
            "indivisible weights are left as they are unless blocks that fit are asked for",
        ),
    ),
    *mutants(
        "_agreed",
        (
            "disagreement",
            "len(meanings) > 1",
            "len(meanings) > 2",
            "users that disagree give output 0, input 1 and a warning",
        ),
    ),
    *mutants(
        "_fit.divisor",
        (
            "fit-largest",
            "range(longest, 0, -1)",
            "range(longest // 2, 0, -1)",
            "blocks that fit are the largest that divide the channels",
        ),
    ),
    *mutants(
        "channel_axes:_fit",
        (
            "fit-per-channel",
            "if divisor == 1:",
            "if divisor == 0:",
            "where no block size but 1 divides the channels they have one scale",
        ),
    ),
    *mutants(
        "_apply",
        (
            "last-rule",
            "rules[matching[-1] - 1].settings",
            "rules[matching[0] - 1].settings",
            "the last rule that matches counts",
        ),
    ),
    *mutants(
        "_check_all_match",
        (
            "unused-rule",
            "if number not in used:",
            "if False:",
            "a rule that matches no weight is an error",
        ),
    ),
    *mutants(
        "_apply.ops",
        (
            "behind-transposes",
            "for use in consumers(weight.uses)}",
            "for use in weight.uses}",
            "a rule's consumers are those behind transposes",
        ),
    ),
    *mutants(
        "_is_uniform",
        (
            "zero-point-splat",
            "codes.argmin() == codes.argmax()",
            "codes.argmin() >= 0",
            "zero points that differ are all stored",
        ),
    ),
    *mutants(
        "_build_zero_point.packed",
        (
            "zero-point-packing",
            "packed = pack(zero_point, FORMATS[quantized.dtype])",
            "packed = np.resize(zero_point.view(np.uint8), "
            "FORMATS[quantized.dtype].packed_size(zero_point.size))",
            "zero points are packed as codes are",
        ),
    ),
    *mutants(
        "_build_decoder.decoded",
        (
            "result-type",
            "element_type(quantized.weight_dtype)",
            "element_type(scale.dtype)",
            "offset2 has the dtype that the weight decodes to",
        ),
    ),
    *mutants(
        "Builder.constant",
        (
            "shared-memory",
            "array.flags.writeable = False",
            "array = array.copy()",
            "a constant protects the memory that it shares",
        ),
    ),
    *mutants(
        "Builder.constant.value",
        (
            "alignment",
            "alignment=_ALIGNMENT",
            "alignment=1",
            "constants are aligned as Core AI's own are",
        ),
    ),
    *mutants(
        "Builder.__exit__",
        (
            "failed-ops",
            "if error is not None:\n            self.erase()",
            "pass",
            "an op that does not verify is not left behind",
        ),
    ),
    *mutants(
        "_overlapped.buffers",
        (
            "one-buffer",
            "cycle((Buffer(), Buffer()))",
            "cycle((Buffer(),))",
            "a weight is not read into the memory that another is quantized from",
        ),
    ),
    *mutants(
        "_overlapped",
        (
            "read-at-once",
            "task.wait_until_busy()  # Core AI",
            "# Core AI",
            "the next weight is read when this one is being quantized",
        ),
    ),
    *mutants(
        "_wait_for",
        (
            "mismatch-unnamed",
            'raise BackendMismatchError(f"{weight}: {error}") from error',
            "raise",
            "a mismatch names its weight",
        ),
    ),
    *mutants(
        "_as_rule",
        (
            "plan-settings-of-the-call",
            "settings = {**_DEFAULTS, **candidate}\n    if",
            'settings = {"granularity": "per_channel", "block_size": 32, **candidate}\n    if',
            "a plan's rules leave nothing to the call",
        ),
    ),
)

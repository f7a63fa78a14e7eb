"""Whole Core AI programs: find the weights, read them, write them back quantized.

Read it in the order of the work:

    coreai_ir      Core AI's IR in a few words; the only module that imports Core AI
    names          what people tell weights by
    stored         what a quantized weight is made of
    candidates     which constants are weights, and which are quantized already
    channel_axes   which axes of a weight are its channels, and the block sizes that follow
    rewrite        one constant becomes codes, scales and ``coreai.blockwise_shift_scale``, and back
    quantize       all of it together, for every weight of a program
    dequantize     the way back
    runtime        run programs on Core AI's runtime, to see what came of it
"""

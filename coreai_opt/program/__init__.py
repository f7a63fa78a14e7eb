"""Whole Core AI programs: find the weights, read them, write them back compressed.

Read it in the order of the work:

    ir                  all that is private to Core AI, in the few words the project needs
    axis_roles          what axes are to an op, behind ops that only move elements
    contraction         one op that contracts a weight, and the matrices that the weight is to it
    following           from a constant to the ops that contract it
    sites               values and the places that they are at, in the order of their use
    names               what people tell weights by
    forms               how a compressed weight is stored: one module for each form
    inventory           what the float values are, found once for several ways to look at them
    weights             which constants are weights, and which are compressed already
    census              all float constants: the weights, and the others with the reason
    channel_axes        which axes of a weight are its channels, and the block sizes that follow
    importance_by_name  which weight an importance belongs to
    jobs                what each weight is to become
    outcomes            what it became, and the record of that
    exclusive           one thread at a time works on a program
    palettize           look-up tables for one weight: what shares a table and a scale
    sparsify            which elements of one weight to keep
    calibrated          weights that a calibration has seen, rounded with feedback
    quantize            all of it together, for every weight of a program
    dequantize          the way back
    assets              programs on disk
    digest              the SHA-256 of a program's file, which stands beside it
    temporary           what is written beside where it belongs, and then moved there
    functions           which function of a program is meant, and what it takes
    inputs, runtime     programs run on Core AI's runtime
"""

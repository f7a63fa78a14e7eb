"""What weights are multiplied by when a program runs: second moments of activations.

    moments      second moments of the rows that a weight meets, and sums of them that grow
    calibration  the moments of a program's weights, in memory and in a file
    seen         what a calibration knows of the weights of a program that is quantized
    activations  from what is captured to rows: matrices, heads, experts, convolutions
    capture      run a program on samples and sum up

The first two need nothing but numpy.
"""

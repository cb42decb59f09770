"""INT8: the tiles to calibrate on, the ranges of the activations, and where to quantise."""

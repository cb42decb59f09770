"""The tables of Noise2Blur (Lin et al., arXiv 1912.01158), measured anew: `python -m benchmarks.paper`."""

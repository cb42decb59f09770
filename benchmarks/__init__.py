"""Measure speed, memory and quality. Run from the folder above, e.g. `python -m benchmarks.paper`."""

"""What is measured, and how: run from the folder above, e.g. `python -m benchmarks.paper`."""

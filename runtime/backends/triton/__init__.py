"""Run models on a Triton Inference Server. Imports: backends, system, errors."""

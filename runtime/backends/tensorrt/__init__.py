"""Run engines by TensorRT or TensorRT-RTX on an NVIDIA GPU. Imports cuda too."""

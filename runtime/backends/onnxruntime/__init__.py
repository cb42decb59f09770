"""Run ONNX files by ONNX Runtime on a CPU or an NVIDIA GPU."""

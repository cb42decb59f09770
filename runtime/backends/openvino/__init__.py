"""Run ONNX files by OpenVINO on a CPU."""

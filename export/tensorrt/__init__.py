"""Build engines with TensorRT or TensorRT-RTX. Imports: onnx, calibration, runtime."""

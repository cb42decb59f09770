"""Verify exported files against their source. Imports: onnx, calibration, runtime."""

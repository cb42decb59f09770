"""Export trained models to ONNX files and engines. Imports: training, calibration, runtime."""

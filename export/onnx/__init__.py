"""Read, convert and write ONNX graphs. Imports: runtime."""

"""Read and write what OpenCV does not of image files: headers, metadata, BMP. Imports: system, errors."""

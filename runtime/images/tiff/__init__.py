"""Read and write TIFF files: pages, strips and tiles, tags. Imports: codecs, system, errors."""

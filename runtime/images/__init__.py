"""Read, write, convert and measure images. Imports: system, errors."""

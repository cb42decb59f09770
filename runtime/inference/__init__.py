"""Cut images into tiles, run them in batches, stitch results. Imports: backends, images, system, errors."""

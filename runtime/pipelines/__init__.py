"""Read, denoise and write at once. Imports: denoiser, inference, sinks, images, system."""

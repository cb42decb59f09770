"""n2b: train an image denoiser from noisy images alone, export it, run it on the device."""

__version__ = "0.1.0"

"""n2b: train an image denoiser from noisy images alone, export it, run it on the device."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # in a clone, this folder hides the installed packages
__version__ = "0.1.0"

"""Open videos, describe them, and convert their frames to RGB and back. Imports: system, errors."""

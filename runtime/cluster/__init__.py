"""Denoise images on a Ray cluster. Imports: commands and all rooms below, never cli."""

"""Denoisers without training, to measure trained ones against."""

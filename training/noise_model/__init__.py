"""Describe a camera's noise, estimated from its noisy images."""

"""Measure results, with and without clean images. Imports: noise, value_transform."""

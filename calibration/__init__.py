"""Measure what INT8 needs and costs, and decide which layers get it. Imports: runtime."""

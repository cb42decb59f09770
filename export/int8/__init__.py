"""Calibrate a network and write its INT8 files. Imports: calibration, and the rooms of export below it."""

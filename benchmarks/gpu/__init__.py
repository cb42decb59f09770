"""Prove a GPU in one command: tests, engines compared with the CPU, speed."""

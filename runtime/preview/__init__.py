"""Serve the live page: frames before and after, in a browser. Imports: images, system, live_stats."""

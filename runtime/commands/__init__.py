"""Run n2b-infer over images, videos, a camera or the DND benchmark. Imports: all rooms below, never cli."""

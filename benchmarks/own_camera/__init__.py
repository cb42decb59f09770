"""Train on a few noisy images of one camera, and compare with other denoisers by the camera's references."""

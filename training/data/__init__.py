"""Read, augment and pool the images of a run. Imports: config, evaluation, labels, noise."""

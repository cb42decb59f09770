"""Networks. Imports nothing else of training."""

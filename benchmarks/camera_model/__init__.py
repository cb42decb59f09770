"""Train the bundled model `camera`: the noise of many cameras at once, without losing what it knows."""

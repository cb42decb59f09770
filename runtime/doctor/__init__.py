"""Report what runs a model here, and why the rest does not. Imports: denoiser, sources and rooms below."""

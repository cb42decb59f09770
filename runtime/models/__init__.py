"""The bundled models and their cards; no code. Imports: nothing."""

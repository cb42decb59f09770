"""Train denoisers: `n2b-train`. Imports: n2b.runtime."""

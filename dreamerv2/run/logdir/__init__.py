"""The folder of a run: lock, configuration and what a resume may change, provenance, headroom."""

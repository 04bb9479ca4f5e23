"""The native module (python/native)."""

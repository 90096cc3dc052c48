"""Shared parts of all runtimes: sessions, checks of outputs, decoding, limits for untrusted graphs."""

"""What all runtimes share: sessions, checked outputs, decoding, and bounds on untrusted graphs."""

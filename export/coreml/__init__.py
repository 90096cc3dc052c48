"""The Core ML format: table entry, writer, runtime, and the checks of untrusted packages."""

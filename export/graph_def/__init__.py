"""The frozen GraphDef format: table entry, writer, and runtime."""

"""The SavedModel format: table entry, writer, and runtime."""

"""Model YAML files: parsed, validated and resolved to a `ModelSpec`."""

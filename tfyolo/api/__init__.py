"""The public objects: a detector or classifier that also trains, measures, quantizes and exports itself."""

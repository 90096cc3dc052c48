"""Mixed precision within a budget: which parts of a network stay in float."""

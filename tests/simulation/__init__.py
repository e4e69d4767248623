"""Random histories and killed processes, after which every invariant is checked again."""

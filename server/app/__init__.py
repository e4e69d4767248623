"""The composition root: command line, configuration, the node, and the parts."""

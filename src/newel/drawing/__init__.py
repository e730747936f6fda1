"""The drawing: a process read from its source, as a region tree, a graph, and in words."""

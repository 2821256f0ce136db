"""Clips that show the same pictures: hashed, found, clustered, and the best copy kept."""

"""HMR2 (4D-Humans): a body from every frame by a network, where the user has its checkpoint."""

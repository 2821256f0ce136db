"""Clip -> SMPL body -> guidance maps."""

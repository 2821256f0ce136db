"""Shards -> checkpoint."""

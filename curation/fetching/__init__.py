"""Bringing source videos here: from files, object stores, direct links and platforms."""

"""Champ's network, built from diffusers' own classes."""

"""Source video -> clips worth training on."""

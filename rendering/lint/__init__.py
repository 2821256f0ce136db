"""The map linter: do maps, whoever drew them, follow the conventions the weights expect."""

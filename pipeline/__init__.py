"""The jobs on Ray, the configuration, the command line, the report."""

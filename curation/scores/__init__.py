"""What is measured of candidate clips, a file a score; what is good enough is decided elsewhere."""

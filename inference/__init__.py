"""Reference image + motion + checkpoint -> video; evaluation."""

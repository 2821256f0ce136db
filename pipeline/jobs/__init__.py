"""One file a job: which rows go in, which stage works on them, which table they come out in."""

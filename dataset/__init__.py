"""What the other packages hand each other: records, tables, shards, video files."""

"""People found, tracked and given keypoints; used by curation, rendering and inference."""

"""The drills: what they break is mended by the run-book."""

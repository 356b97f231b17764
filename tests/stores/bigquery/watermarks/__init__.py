"""Watermarks: the rules, the mark of an instance, and the horizon of readers."""

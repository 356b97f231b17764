"""Measurements, each contender in a fresh process, as ratios within one run."""

"""Tests of the laptop tools: the local Pub/Sub, its pusher and the commands."""

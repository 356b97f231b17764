"""Agents ask over the Model Context Protocol: the tools, and the endpoint before the official client."""

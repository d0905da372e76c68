"""The daemon, killed at random points of its work."""

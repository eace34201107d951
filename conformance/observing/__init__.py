"""Asking an implementation in its process, and its answers as plain data."""

"""Sidelight's web app, REST API and command line."""

__version__ = "0.1.0"

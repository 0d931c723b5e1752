"""Asks a Sidelight server from Python: `from sidelight.client import Sidelight`.

It needs httpx and numpy, and nothing of the server's.
"""

"""Engines: what turns a request into tokens. None imports Ray, so each is tested and timed without a cluster."""

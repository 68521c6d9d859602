"""Faults on purpose, under load: `make drills`. What each is, and what was seen, is in docs/drills.md.

`kit/` starts what is drilled, asks it steadily and judges it; every other module is a family of faults. Nothing here is
collected by pytest unless it is named: a run takes many minutes, and breaks what it runs against.
"""

"""A long run at a steady part of what the server can take: what grows, and what is left behind afterwards.

`traffic` drives, `samples` looks at processes and Redis, `leftovers` asks afterwards, `report` judges.
"""

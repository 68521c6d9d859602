"""What scenarios are made of. `outcomes`, `replies`, `logs`, `evidence`, `promises`, `tenants` and `report` are plain
Python; `watching`, `clients` and `play` run under Locust, which patches the standard library when it is imported.
"""

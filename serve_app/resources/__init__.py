"""Whether a Ray cluster has what a configuration asks for.

`needs`, `packing` and `shortage` are pure; `cluster` asks Ray. Ray waits without an end for what is not there, since a
node may join at any time. Here that is said at once, and refused only where no placement exists: a configuration that
Ray could place is never kept from it.
"""

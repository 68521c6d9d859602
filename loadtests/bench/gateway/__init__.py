"""The whole chain beside LiteLLM's proxy, with the same limits: a part of `make bench`."""

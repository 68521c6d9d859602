"""The real vLLM, on a CPU, in an environment of its own: `make test-vllm`. Elsewhere these tests are skipped."""

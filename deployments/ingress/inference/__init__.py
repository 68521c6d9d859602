"""The routes that run models. `endpoint` is the way of a request; what is asked for is an `operation`, made from the
body by `chat`, `text`, `embeddings` or `infer`."""

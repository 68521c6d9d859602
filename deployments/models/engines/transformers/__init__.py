"""Models of Hugging Face's transformers: text generation and embeddings, on a GPU where Ray assigned one, else on the
CPU. Only what makes an engine imports torch."""

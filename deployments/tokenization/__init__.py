"""Counting tokens: at the ingress before a request is admitted, and in the engines that read them. One code for both,
so that what is reserved is what is used."""

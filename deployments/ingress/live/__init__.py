"""The live feed: what every ingress replica decides, as one stream of frames for the page and for operators."""

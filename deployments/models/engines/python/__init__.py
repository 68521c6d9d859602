"""`kind: python`: a class of the user's own as the model. docs/engines.md has ten-line examples."""

"""HTTP in and out. `create_app` (in `app`) builds the whole surface from its dependencies, with or without Ray."""

"""The three Ray Serve deployments: `ingress`, `router`, `models`. `ingress` and `models` never import each other."""

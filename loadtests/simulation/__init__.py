"""A simulated pool under the real scheduler: hours of traffic in seconds, and the same figures every time.

`python -m loadtests.simulation` (`make simulate`). `traffic` says who sends what, `pool` is the discrete-event loop,
`day` the 24 hours that are judged, `knobs` the small scenes of docs/qos.md, `svg` and `pictures` draw.

What is simulated is time: how long a model computes. Who goes next is decided by `deployments.router.scheduler` itself,
on the simulation's clock. The network, Ray and the ingress are not in it; those are measured on the live chain.
"""

"""``server top``: what a running server does, on a terminal, from two looks at its ``/metrics``."""

"""``server top``: shows what a running server does, from two scrapes of its ``/metrics``."""

"""``server top``: shows a running server's metrics on a terminal, from two scrapes of ``/metrics``."""

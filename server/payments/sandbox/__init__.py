"""The sandbox payment gateway: an outside party that happens to ship with the server, for development only.

It knows nothing of the server but what a gateway would, and reaches it only by HTTP, like one.
"""

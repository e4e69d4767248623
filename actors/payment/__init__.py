"""A payment at a gateway: from the request to the captured, or returned, money."""

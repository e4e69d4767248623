"""What both transports share: decoding, guards, rates, addresses, refusals in words."""

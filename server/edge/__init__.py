"""What REST and live share: decoding, guards, rate limits, client addresses, error responses."""

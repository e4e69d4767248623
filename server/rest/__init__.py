"""REST and the plain pages, on aiohttp: everything here is derived from the registry."""

"""REST and the plain pages, on aiohttp; routes and API documents are derived from the registry."""

"""The demo marketplace: two cities, their businesses and people, and a story played on it."""

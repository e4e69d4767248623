"""The demo marketplace: businesses and users in two cities, and a scripted booking."""

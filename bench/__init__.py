"""The workloads that decide about speed, run against a live server."""

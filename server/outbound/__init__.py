"""What we ask of the outside: one adapter a file."""

"""What the outside tells us: signed requests of other systems, verified and turned into commands."""

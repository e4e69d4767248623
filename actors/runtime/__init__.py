"""What runs the actors: mailboxes, activations, turns and the clock of the agenda."""

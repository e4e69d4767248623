"""Links in letters: each lets its holder do one thing, without signing in."""

"""What Guildwire decides: one file for each kind of actor, readable without knowing the mechanism that runs it."""

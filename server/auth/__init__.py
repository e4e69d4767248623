"""Who is who: passwords, tokens and sessions, around the user actor."""

"""E-mail: letters, how each is made of what happened, and how it is brought to a mail server."""

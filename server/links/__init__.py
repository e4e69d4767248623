"""Links in e-mails: each allows one action without signing in."""

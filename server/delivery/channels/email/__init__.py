"""E-mail: content, rendering, MIME and SMTP."""

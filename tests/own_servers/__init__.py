"""Servers of the user's own, with certificates, passwords and tokens, as sites have them."""

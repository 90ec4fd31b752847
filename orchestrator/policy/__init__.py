"""The site's policy: one reviewed file that says what may be sent, in which mode, and who may do what by hand."""

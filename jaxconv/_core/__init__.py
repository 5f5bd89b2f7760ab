"""Code that the ops share and that users do not import."""

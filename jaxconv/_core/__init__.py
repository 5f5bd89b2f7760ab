"""What all ops share and no user imports."""

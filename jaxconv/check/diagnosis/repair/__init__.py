"""Repair: look for one change of a rule that makes its gradient right."""

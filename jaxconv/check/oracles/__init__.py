"""The oracles: each asks one question about a rule, and says to the bench what does not hold.

They are asked in the order in which `jaxconv.check.judge` says: each may rely on what those
before it found.
"""

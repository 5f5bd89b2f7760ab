"""The oracles: each checks one property of a rule and reports failures to the check.

`jaxconv.check.judge` sets their order; each may rely on the results of those before it.
"""

"""The court: what puts rules on trial against autodiff.

So far its `catalogue`: one record of every op, from which the tests are made.
"""

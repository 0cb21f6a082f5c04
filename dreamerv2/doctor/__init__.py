"""`python -m dreamerv2.doctor`: is an installation, a task or a logdir as it should be?

Importing this package needs the standard library only, so that it can say what is missing.
"""

"""`python -m dreamerv2.doctor`: checks an installation, a task or a logdir.

Importing this package needs the standard library only, so that it can say what is missing.
"""

"""The one error that is the user's to mend."""


class UsageError(Exception):
    """A user's mistake: one line that names the value, what was expected and the way out.

    Commands print the message on standard error and end with exit code 2; nothing is lost.
    """

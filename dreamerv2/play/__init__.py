"""Watching an agent in the browser, beside what it sees, draws, expects and imagines."""

"""A real browser, headless, without a library for it.

program     where the browser is, or the distribution's package of it
driver      starts it and speaks to it, by the DevTools protocol
"""

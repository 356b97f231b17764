"""What a visit of the page takes, in a real browser.

visits      `python -m bench.page.visits`: first content, complete numbers, what is sent, how much it moves
"""

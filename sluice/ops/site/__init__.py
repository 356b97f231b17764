"""The documentation as a site that is read offline, too: `python -m sluice.ops.site` (`make docs`).

__main__   builds it: the pages, Zensical, then the check
pages      the documents of the repository as pages of the site: paths and links
check      what a reader's browser would find: dead links and anchors, requests to other hosts, lost lists and tables
"""

"""The page for people at `/`: throughput, delays, rejects, stored records, and the health of the instance.

routes      `/`: the page for browsers, links as JSON for others; and the page's files
page.html   the page without any data; its scripts call the API, with the rights of the viewer
assets/     its scripts and styles: plain modules, served unchanged; `main.js` is the entry point
vendor/     the chart library, copied from npm by `vendor.sh`, in the version that package-lock.json pins
"""

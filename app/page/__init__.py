"""The page for people at `/`: what comes in, how late it is, what is rejected, what is stored, how the instance is.

routes      `/`: the page for browsers, links as JSON for others; and the page's files
welcome     what `/` says as JSON: the links, and what the page must know before it asks the API
page.html   the page without any data; its scripts ask the API, with the rights of whoever looks
assets/     its scripts and styles: plain modules, as they are sent; `main.js` is where they begin
vendor/     the chart library, copied from npm by `vendor.sh`, which takes what package-lock.json names
"""

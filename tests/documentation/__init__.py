"""The tutorial and the how-to pages, executed as a reader would: real processes in an empty folder."""

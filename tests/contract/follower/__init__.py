"""The promise of the feed: who follows `resume_cursor` sees each delivery once, whatever the writers go through."""

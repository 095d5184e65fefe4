"""Pages of the web that a feed, a sitemap or an llms.txt lists."""

"""Speed against named peers: ratios of medians from one process and the same data. Run by `make bench`, never by a test."""

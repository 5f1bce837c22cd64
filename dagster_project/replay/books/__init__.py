"""Making position books: from the liquidation map of a published snapshot, and from a venue's account snapshot."""

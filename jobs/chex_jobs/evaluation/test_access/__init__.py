"""The only code that reads test films, and the ledger that says who did, what and when."""

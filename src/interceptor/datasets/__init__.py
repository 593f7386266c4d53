"""Public data sets as one kind of table."""

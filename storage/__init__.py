"""What is kept: the commit, the journal and the queries, and the only code that knows the database drivers."""

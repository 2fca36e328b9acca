"""The lines of the table, grouped by what they have to set up."""

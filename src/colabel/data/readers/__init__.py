"""Readers: the files of a data set to records, one module per layout."""

"""The library: values, errors, tables, vectors, words, and the one façade `Library`."""

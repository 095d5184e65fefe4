"""The one analysis of text: normalisation, sentences, quantities, plain rendering."""

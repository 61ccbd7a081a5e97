"""The technologies that keep the data, one module or folder each."""

"""Pure core: which options an execution gets, and which value of each field wins. Knows no cluster."""

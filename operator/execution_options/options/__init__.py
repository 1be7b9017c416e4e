"""Which options an execution gets, and which value of each field wins. Pure; knows no cluster."""

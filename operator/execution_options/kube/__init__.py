"""A thin client of the API server, and stores that follow a collection. No rule of the operator is in here."""

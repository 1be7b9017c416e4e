"""The part of notifications that needs no network: whom to notify, by which channel, with what content and names."""

"""The status of options and channels, for people and programs. Pure."""

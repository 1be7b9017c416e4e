"""The status of options and channels: what a person and a program should know of them. Pure."""

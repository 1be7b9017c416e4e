"""Descriptions of the kinds of execution, as data, and how options become their fields. Pure."""

"""The services that notifications are sent by, one file each.

A provider never raises for what the other side does: it says of each recipient what became of the message
(:class:`~execution_options.providers.answer.Answer`). What it says holds no secret.
"""

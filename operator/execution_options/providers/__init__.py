"""The services that send notifications, one file each.

A provider never raises because of what the service does. It returns an
:class:`~execution_options.providers.answer.Answer` for each recipient, which contains no secret.
"""

"""The Python API: flytekit's classes for options and notifications, and their manifests."""

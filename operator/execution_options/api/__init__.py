"""The resources of the API group ``execution.dev``: their model, schema, rules and reference."""

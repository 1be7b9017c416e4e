"""What programs import to write how they ended: one module for each engine, and nothing of the operator."""

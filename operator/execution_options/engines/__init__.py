"""What must be known of each kind of execution, as data, and how options become its own fields. Pure."""

"""The controller: brings the cluster to what options and snapshots say. Pure decisions, thin shells around them."""

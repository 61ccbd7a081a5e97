"""A company in two stores: draining, swapping, the hybrid storage, and migration."""
